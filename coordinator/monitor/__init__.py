"""What a scan reports of itself: figures, warnings, the bottleneck, the log."""
