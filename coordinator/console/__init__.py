"""What a running scan shows, and how it is steered: status, dashboard, keys, control socket, signals.

Which figures it shows is decided in `coordinator.monitor.figures`.
"""
