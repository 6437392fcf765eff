"""Thousands of small downloads from servers that misbehave as a seed says; `scripts/torture` runs it."""
