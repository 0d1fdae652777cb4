"""What is to be scanned: ZMap's rows, lists and dry runs into targets; expanded, screened, without
duplicates.
"""
