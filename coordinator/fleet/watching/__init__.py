"""All boxes of a fleet in one view: their statuses taken, added up, drawn, and given to Prometheus."""
