"""Real time: the event log, streams and sockets, all on one cursor."""
