"""Shows events: bars, lines, JSON or errors alone. Nothing here can hold up or fail a download."""
