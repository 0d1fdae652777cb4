"""What `lzr predict` does with files: seeds, lists, and the loop that scans them."""
