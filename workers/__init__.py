"""The processes that do the work: flow workers and collectors, and the nursery that starts them."""
