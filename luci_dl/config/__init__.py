"""Settings and the file that keeps them."""
