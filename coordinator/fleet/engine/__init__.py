"""The controller, on Dask distributed: which boxes are there, what each is told, and its own socket."""
