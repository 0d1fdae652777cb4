"""The live dashboard: pure pictures of a snapshot, and the terminal they are drawn on, the keys."""
