"""What has to be right on this host before a scan begins."""
