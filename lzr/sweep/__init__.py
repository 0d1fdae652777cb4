"""A sweep of address space: its pairs of address and port, their order, and the SYNs to them."""
