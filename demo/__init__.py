"""`make demo`: an embedded Internet, zmap and lzr over it, and the findings beside the truth."""
