"""Rank 2: entities and routes as documents for clients. Pure: text out, nothing asked."""
