"""What is opened, and which way packets leave: settled before the first one is sent."""
