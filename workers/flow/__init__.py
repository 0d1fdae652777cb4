"""A flow worker: rings, flow table, limit on outstanding flows, outbox."""
