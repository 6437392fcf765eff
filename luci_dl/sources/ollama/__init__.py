"""References to Ollama registries."""
