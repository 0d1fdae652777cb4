"""What a scan writes for its user: the result file, the feed, the metadata."""
