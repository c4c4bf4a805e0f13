"""Rank 6: the one job machine that bulk, import and export share."""
