"""Rank 8: HTTP, SQS, streams and S3 events in, answers out."""
