"""ZMap's default source ports, which the guard, our own connections and checks for ACKing firewalls use too.
`bin/lzr` repeats them; a test compares the two.
"""

DEFAULT_PORTS = (32768, 61000)
"""Both ends included."""

DEFAULT_RANGE = "32768-61000"
"""As it is written on a command line."""
