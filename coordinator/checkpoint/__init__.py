"""What an interrupted scan needs to go on: which inputs are done, how long the outputs were."""
