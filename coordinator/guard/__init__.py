"""The RST guard: the kernel is kept from resetting connections it knows nothing of."""
