"""How a worker receives orders and sends reports."""
