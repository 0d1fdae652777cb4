"""What a scan tells of itself: figures, warnings, the bottleneck, the log."""
