"""Rank 8: HTTP, SQS, streams and S3 events in, answers out."""

import gc

# A function's imports make tens of thousands of objects and no garbage: `start` turns the collector on again.
gc.disable()
