"""How large a message may be, how many may wait."""

FEED_MARK = 4
"""ZeroMQ's high-water mark of a flow worker's feed, at either end, in messages of up to 2,048 targets: so
many messages wait for a worker besides the one it is working on."""
MOST_PARTS = 40
"""Parts of a message: a collector sends a line blob for each output, and a few columns."""
MOST_OCTETS = 1 << 27
"""Bytes of one part: a million flows have 104 MB. ZeroMQ closes the connection of who sends more."""
BATCH_OCTETS, BATCH_ROWS = 1 << 22, 1 << 15
"""Bytes of hosts' data, and number of results, in one message; what belongs to one target is not split. In a
record a byte may take six characters, once for each output, and MOST_OCTETS bounds all of them together."""
