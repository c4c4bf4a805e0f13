"""Webhooks: endpoints that tenants register, and the delivery of events to them."""
