"""`lzr fleet`: the scan of a plan on this box, and the control of several boxes from one place."""
