"""A collector: identifies replies, encodes records, writes them."""
