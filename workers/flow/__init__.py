"""A flow worker: rings, flow table, window, outbox."""
