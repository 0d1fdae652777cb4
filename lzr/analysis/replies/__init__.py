"""Replies of the same service compared: what differs each time it is asked, and what has changed."""
