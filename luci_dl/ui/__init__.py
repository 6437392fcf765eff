"""Shows events: bars, lines, JSON, or problems only. Nothing here can delay or fail a download."""
