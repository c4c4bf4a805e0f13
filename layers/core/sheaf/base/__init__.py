"""Rank 0: configuration, errors, ids, time, logs. No AWS, no pydantic."""
