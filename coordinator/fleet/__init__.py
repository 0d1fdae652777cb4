"""`lzr fleet`: the scan of a plan on this box, and several boxes from one place."""
