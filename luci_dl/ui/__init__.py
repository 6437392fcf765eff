"""Shows events: bars, lines, JSON, or problems only. Nothing here can delay or fail a download.

choose          which renderer: bars, lines, jsonl; as_one: small files are shown as one
render_thread   between the engine and a renderer; run_state: what is running, and how far
describe        the sentence for each event; forecast: those of a dry run; plain: words for emoji
stream          a file descriptor; live_region: lines redrawn in place; cells: how wide text is
"""
