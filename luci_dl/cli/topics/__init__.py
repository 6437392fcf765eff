"""The topics of `luci help`: the reference, made from the tables of the code. One module per topic."""

from __future__ import annotations

from importlib import import_module

TOPICS = {
    "exit-codes": "What each exit code means.",
    "settings": "The settings, their defaults, and what overrides them.",
    "environment": "The environment variables that luci reads.",
    "json": "What `--json` prints for each command.",
    "events": "The events that `--json` prints while a command works.",
    "catalog": "The format of your own catalog.",
    "serve": "Models for many machines: clients, rules, nginx, systemd, a thousand hosts.",
    "files": "The files that luci keeps, and how it treats disks and shared folders.",
}
"""Each topic with a summary; its module has the same name."""


def lines(topic: str) -> list[str]:
    """The text of the topic, at most 80 columns wide."""
    module = import_module(f"{__name__}.{topic.replace('-', '_')}")
    return "\n".join(module.lines()).rstrip("\n").split("\n")
