"""A box's side: its worker, the calls it answers, what it reports of itself; and the transport of both
sides.
"""
