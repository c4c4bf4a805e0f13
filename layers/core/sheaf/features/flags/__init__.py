"""Rank 7: feature flags: what is on for whom, evaluated by the rule engine of Powertools."""
