"""Two scans compared, and a scan as a report: counts by DuckDB, told by the commands that ask."""
