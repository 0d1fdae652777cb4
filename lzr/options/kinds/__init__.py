"""The kinds of value that options take."""
