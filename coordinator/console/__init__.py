"""What a running scan shows and is told: status, dashboard, keys, control socket, signals."""
