"""One scan from options to exit status."""
