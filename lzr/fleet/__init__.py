"""A scan by several boxes: its plan, which box scans which shard, and how that was settled. Values, no
I/O.
"""
