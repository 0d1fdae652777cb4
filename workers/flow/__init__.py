"""The flow worker: raw socket rings, flow table, window."""
