"""A scan of several boxes: its plan, who scans which shard, and how that was settled. Values, no I/O."""
