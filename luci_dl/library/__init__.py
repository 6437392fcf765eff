"""What is in a models folder."""
