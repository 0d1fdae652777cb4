"""Routes, addresses and neighbours as the kernel has them, and the raw sockets."""
