"""Many rows at once: what is asked for, the engine that does it, and the requests and jobs around it."""
