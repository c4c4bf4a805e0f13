"""Groups of routes that do not fit on the one screen of a function."""
