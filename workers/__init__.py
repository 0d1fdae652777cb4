"""The processes that do the work: flow workers and collectors, and the fork server that starts them."""
