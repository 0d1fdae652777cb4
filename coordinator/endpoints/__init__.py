"""Where others ask: `lzr ctl` and Prometheus."""
