"""What is opened, and which way packets leave: before the first packet, so that a mistake costs a sentence."""
