"""One scan: prepare; then read, feed, account for results and wait in turns; end."""
