"""Several requests in one: what is asked for, in which order it may run, and what one takes from another's answer."""
