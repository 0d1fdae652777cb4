"""After the scan: files of results read into DuckDB, and what the commands over them share."""
