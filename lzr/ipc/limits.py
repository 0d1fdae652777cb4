"""How large a message may be, how many may wait."""

FEED_MARK = 4
"""ZeroMQ's high-water mark of a flow worker's feed, at either end, in messages of up to 2,048 targets: so
many wait for a worker besides those that it has taken."""
MOST_PARTS = 40
"""Parts of a message: a collector sends a line blob for each output, and a few columns."""
MOST_OCTETS = 1 << 27
"""Of one part: a million flows have 104 MB. ZeroMQ hangs up on who sends more."""
BATCH_OCTETS, BATCH_ROWS = 1 << 22, 1 << 15
"""Bytes of hosts' data, and results, in one message of them; what belongs to one target is not cut. A record
may have six characters for a byte, once for each output, and MOST_OCTETS is for all of them."""
