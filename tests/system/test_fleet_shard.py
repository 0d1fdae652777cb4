"""`lzr fleet shard`: one scan, whoever calls for it and whoever is killed."""
