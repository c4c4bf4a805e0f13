"""Rank 5: the only readers and writers of entity rows."""
