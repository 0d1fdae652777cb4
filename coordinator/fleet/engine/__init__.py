"""Boxes and their controller on Dask distributed: who is there, what it is told, what it says of itself."""
