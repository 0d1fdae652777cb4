"""What is opened, and how packets leave: settled before the first one is sent."""
