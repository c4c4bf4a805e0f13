"""Rank 7: one file per feature; siblings never import each other."""
