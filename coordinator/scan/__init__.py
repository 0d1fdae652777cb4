"""One scan while it runs: read, feed, account for, wait, end."""
