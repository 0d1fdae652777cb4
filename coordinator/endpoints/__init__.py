"""Where other programs ask a running scan: `lzr ctl` and Prometheus."""
