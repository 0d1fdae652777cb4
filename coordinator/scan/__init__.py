"""One scan: prepare, then read, feed, account for, wait, end."""
