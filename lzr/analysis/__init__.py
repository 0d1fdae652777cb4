"""After the scan: what its records are as a table, and what is worked out of them. No file, no DuckDB."""
