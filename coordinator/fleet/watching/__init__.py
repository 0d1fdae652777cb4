"""All boxes of a fleet in one view: statuses read, added up, drawn, and served to Prometheus."""
