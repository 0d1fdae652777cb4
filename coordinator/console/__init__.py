"""What a running scan shows, and how it is steered: status, dashboard, keys, control socket, signals."""
