"""Where other programs ask a running scan: `lzr ctl` and Prometheus.

Which figures they get is decided in `coordinator.monitor.figures`.
"""
