"""A sweep of address space: which pairs of address and port there are, in which order, with what SYN."""
