"""Rank 7: a person's right to be forgotten."""
