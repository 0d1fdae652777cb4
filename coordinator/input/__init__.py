"""The input: read ahead, decompressed, parsed into targets, names looked up, targets admitted."""
