"""What the commands share: how they are parsed and end, what they write, what they show on the terminal."""
