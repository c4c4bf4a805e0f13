"""Rank 1: what an entity is. Pure: no input, no output, no tenant."""
