"""References to model artifacts in Docker's registry, and in others that hold such."""
