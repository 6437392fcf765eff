"""`luci help settings`, from the fields of `Settings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from luci_dl.api.config import KEYS, Key, default_settings
from luci_dl.cli.topics.layout import block, heading, table, text

_DEFAULTS = default_settings(Path("~/.luciferai"))
_LIMITS = (
    ("20M", "20 MB per second, always."),
    ("09:00-17:00=2M", "2 MB per second from nine to five; else no limit."),
    ("09:00-17:00=2M,10M", "The same, and 10 MB per second at all other times."),
    ("08:00-12:00=1M,13:00-17:00=2M", "Several spans."),
    ("22:00-06:00=none,2M", "No limit at night, else 2 MB per second."),
)
_EXAMPLE = """\
{
  "models_dir": "/data/models",
  "catalog": "/home/me/models.toml",
  "min_free": "5GiB",
  "on_interrupt": "keep"
}
"""


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from text(
        "An option of a command overrides an environment variable, which overrides config.json. The defaults assume "
        "that LUCI_HOME is ~/.luciferai."
    )
    yield from table((key.name, _meaning(key)) for key in KEYS.values())
    yield from text(
        "If `catalog` is not set, catalog.toml in luci's own folder is used if it exists. An install adds its models "
        "folder to `folders`, so that all commands look there whatever models_dir is later. If one of them is missing "
        "or empty, its disk may not be mounted: commands say so, and an install asks before it creates the folder. "
        "If a folder is gone for good, unset it."
    )
    yield from heading("Speed limits by the time of day")
    yield from table(_LIMITS)
    yield from text(
        "Times are local. A span that ends before it begins goes over midnight; spans must not overlap. A running "
        "download follows the clock."
    )
    yield from heading("Servers on the LAN")
    yield from block("luci config set lan http://lab:8480      # a machine where `luci serve` runs")
    yield from text(
        "A file whose digest is known is asked for there first, and nobody else is asked while bytes come; the Hub or "
        "the registry states the digest, so plain http is as good as https. If a server has sent nothing for 5 "
        "seconds, the file continues from its own address, and the server is asked again each minute; if it says that "
        "it cannot send the file, at once. Wrong bytes are fetched again from the file's own address. HF_TOKEN is sent "
        "there over https alone, so that a gated file comes from the Hub otherwise. If the Hub or Ollama's registry "
        "does not answer within 10 seconds, luci believes what the LAN says about files, and warns; `luci outdated` "
        "and `luci upgrade` never do. --no-lan asks no such server for once. Behind a proxy, list the host in NO_PROXY."
    )
    yield from heading("config.json")
    yield from block(_EXAMPLE)
    yield from text(
        "Every key is optional, and null counts as not set. Sizes are numbers of bytes or texts. Relative paths start "
        "from the folder of the file; `~` is your home, and `$NAME` at the beginning is that variable. `luci config "
        "list` and `luci doctor` report unknown keys, which are kept."
    )
    yield from text("`luci config --help` shows the commands that show, check and change settings.")


def _meaning(key: Key) -> str:
    default = ", ".join(key.kind.texts(getattr(_DEFAULTS, key.name))) or "none"
    others = " and ".join(filter(None, (key.variable, key.option)))
    overridden = f" Overridden by {others}." if others else ""
    return f"{key.purpose[:1].upper()}{key.purpose[1:]}: {key.kind.allowed}. Default: {default}.{overridden}"
