"""What a scan that was cut off needs to go on: which inputs are done, how long the outputs were."""
