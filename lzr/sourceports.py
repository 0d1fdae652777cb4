"""The source ports of a ZMap that was given none, and so of everything that goes with it: the guard, our own
connections, probes for ACKing firewalls. `bin/lzr` says them once more; a test holds the two together."""

DEFAULT_PORTS = (32768, 61000)
"""Both ends included."""

DEFAULT_RANGE = "32768-61000"
"""As it is written on a command line."""
