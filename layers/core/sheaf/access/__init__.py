"""Rank 4: who is calling, what may they do, how much is left."""
