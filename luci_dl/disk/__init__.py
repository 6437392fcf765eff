"""Bytes onto disk: nothing here knows of a network. `fs` makes the calls, the rest says in which order."""
