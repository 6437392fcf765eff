"""Words for emoji."""

from __future__ import annotations

PLAIN_WORDS = {
    "⚠️  ": "Warning: ",
    "🗑️  ": "",
    "📥 ": "",
    "📤 ": "",
    "📦 ": "",
    "🔍 ": "",
    "🔗 ": "",
    "✅ ": "OK: ",
    "❌ ": "Error: ",
}
"""What replaces the emoji at the start of a line where emoji cannot be shown."""


def plain(line: str) -> str:
    """The line with words in place of its emoji."""
    for emoji, word in PLAIN_WORDS.items():
        if line.startswith(emoji):
            return word + line.removeprefix(emoji)
    return line
