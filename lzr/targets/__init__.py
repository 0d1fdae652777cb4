"""What is to be scanned: ZMap's rows, lists, dry runs; unfolded, screened, each once."""
