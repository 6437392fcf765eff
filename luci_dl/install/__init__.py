"""Installing models, in the order in which it happens."""
