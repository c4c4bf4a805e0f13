"""Rank 2: bytes to rows and rows to bytes. Pure streams."""
