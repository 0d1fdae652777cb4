"""Fingerprints of rapid7/recog: the data, the texts they are about, and what they say."""
