"""Recog's fingerprints into what `lzr/fingerprint/recog` runs: `python -m fingerprints CHECKOUT COMMIT`."""
