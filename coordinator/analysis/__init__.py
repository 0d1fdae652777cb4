"""After the scan: files of results read into DuckDB, and what its commands share."""
