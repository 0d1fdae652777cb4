"""The collector: label, encode, write."""
