"""How a worker hears orders and sends reports."""
