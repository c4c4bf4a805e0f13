"""Events that this installation publishes itself (`POST /v1/events`), beside those of its entities."""
