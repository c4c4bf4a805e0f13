"""Rank 7: backups of a tenant, an entity or some rows, and the way back to any moment since."""
