"""What is opened and which way packets leave: found before the first one, so that a mistake costs a sentence."""
