"""What a scan writes for its user is opened here: the result file, the feed, the metadata.

Records are not written here: a collector has the descriptors, and `workers.collect.sink` writes to them.
"""
