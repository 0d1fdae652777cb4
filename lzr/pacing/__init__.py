"""How fast: token buckets for packets and bits."""
