"""What the user asked for: the one table of options, and everything that is made from it."""
