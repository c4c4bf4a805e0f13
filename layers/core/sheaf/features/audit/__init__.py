"""Rank 7: the audit log: who has done what, chained so that its readers can check it."""
