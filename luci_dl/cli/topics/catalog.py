"""`luci help catalog`, from the keys that a catalog may have."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.api.catalog import FILE_KEYS, MODEL_KEYS, RESERVED
from luci_dl.cli.topics.layout import block, heading, table, text
from luci_dl.model import Digest

MODEL = {
    "name": 'Needed. What `luci install` takes: a word without spaces, ":" and "/", and without a dash in front. '
    f"Reserved: {', '.join(RESERVED)}.",
    "aliases": "A list of other names.",
    "family": 'The series that it belongs to, like "qwen"; without it, the letters at the beginning of the name.',
    "tier": "A number: 0 (runs anywhere) to 4 (needs a big machine).",
    "groups": "A list of groups, for `luci install GROUP models`. The group core may be joined.",
    "license": "A text.",
    "all": "false: `luci install all models` leaves it out, and `luci install everything models` does not.",
    "file": "Needed. One [[model.file]] table for each file; the first is the one to load.",
}
FILE = {
    "filename": 'Needed. A path below the models folder, with "/" between its parts.',
    "url": "Needed. An https:// or http:// address, without #sha256=.",
    "commit": "40 hex digits: download from this commit, whichever revision the url names. Only for a url with "
    "/OWNER/REPO/resolve/ in it.",
    "size": "Bytes.",
    **{digest.key: f"{digest.digits} hex digits: the file's {digest.label}." for digest in Digest},
    "role": '"model" (the default), or "projector" of a vision model.',
}
_EXAMPLE = """\
[[model]]
name = "my-model"
aliases = ["mine"]
groups = ["work"]
tier = 1
license = "apache-2.0"

[[model.file]]
filename = "my-model-Q4_K_M.gguf"
url = "https://huggingface.co/me/my-model/resolve/main/my-model-Q4_K_M.gguf"
size = 1234567890
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[model.file]]
filename = "my-model-mmproj.gguf"
url = "https://example.com/my-model-mmproj.gguf"
role = "projector"
"""


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from text(
        "Your own catalog is a TOML file of models that luci knows by name, beside the built-in ones. It is the file "
        "that LUCI_CATALOG names, or the setting `catalog`, else catalog.toml in luci's own folder."
    )
    yield from block(_EXAMPLE)
    yield from heading("Keys of [[model]]")
    yield from table((key, MODEL[key]) for key in MODEL_KEYS)
    yield from heading("Keys of [[model.file]]")
    yield from table((key, FILE[key]) for key in FILE_KEYS)
    yield from text(
        "One digest is enough to verify a file. That of a Git LFS pointer is the SHA-1 that git has of the pointer to "
        "the file, which contains its SHA-256."
    )
    yield from text(
        "Any other key is an error. An error names the file, the entry and the key: `my.toml, model mine, file a.gguf, "
        "size: expected a whole number, found '1'`."
    )
    yield from text(
        "An entry with the name of a built-in model replaces it. It keeps the aliases, groups and tier of the built-in "
        "one if it has none itself, but not the license."
    )
    yield from text(
        "`luci catalog --help` shows the commands that list, check and update your catalog and add entries to it."
    )
