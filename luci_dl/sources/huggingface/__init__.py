"""References to the Hugging Face Hub."""
