"""Accounts: who may come in, and the tenants they belong to."""
