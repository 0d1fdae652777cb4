"""The side of a box: its worker, what it can be asked, what it says of itself; and how both sides speak."""
