"""Rank 3: the only users of boto3 and of the network. `keys.py` is the only place that builds a key."""
