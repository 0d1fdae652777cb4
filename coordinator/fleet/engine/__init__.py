"""The controller on Dask distributed: who is there, what each box is told, and where it is asked itself."""
