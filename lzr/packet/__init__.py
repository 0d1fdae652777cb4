"""Packets as columns: segments parsed and built, payloads of the probes, the hash that shards them."""
