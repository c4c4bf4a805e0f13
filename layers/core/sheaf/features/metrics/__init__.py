"""Rank 7: how much is asked, how fast it is answered, and how often it fails."""
