"""What the user asked for: the one table of options, and all that is made from it."""
