"""Which services are likely to answer, worked out of what was asked and answered before."""
