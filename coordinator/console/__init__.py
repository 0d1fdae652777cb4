"""What a running scan shows, and how it is steered: status, dashboard, control socket, signals.
What a key does is in `coordinator.dashboard.dashboard`.

Which figures it shows is decided in `coordinator.monitor.figures`.
"""
