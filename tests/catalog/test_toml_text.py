"""What luci writes into a catalog says what was meant, and leaves the rest as the user wrote it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.catalog.catalog import BUILT_IN
from luci_dl.catalog.toml_text import changed, entries_of, joined, values_of, written

BY_HAND = """\
# My models.

# the small one
[[model]]
name = "one"  # a "good" one
aliases = [
    "uno",  # in Spanish
    "eins",
]

[[model.file]]
url = "https://h/O/R/resolve/main/a#b.gguf"  # moved once
filename = "a.gguf"
size=1    # bytes
# proved by hand:
"sha256" = 'old # not a comment'

[[model.file]]
filename = "b.gguf"
url = "https://h/b.gguf"

# the other one
[[model]]
name = "two"
[[model.file]]
filename = "c.gguf"
url = "https://h/c.gguf"
# the end
"""
INLINE = """\
# My models.
# All of them.

model = [
    { name = "one", file = [{ filename = "a.gguf", url = "https://h/a.gguf", size = 1 }] }, # short
]
"""


def with_facts(text: str, **facts: Any) -> list[dict[str, Any]]:
    """The models of the text, these facts added to their first file."""
    models = values_of(text)
    models[0]["file"][0] |= facts
    return models


def test_luci_writes_its_own_catalog_as_it_stands() -> None:
    """To the byte: an update changes what has changed, and nothing else."""
    text = BUILT_IN.read_text()
    head, entries = entries_of(text)
    assert head.startswith("# The models that luci knows")
    assert joined(head, map(written, values_of(text))) == text
    assert joined(head, entries) == text
    assert changed(text, values_of(text)) == text


def test_a_fact_is_changed_where_it_stands() -> None:
    """Comments, order, spaces and the form of everything else stay."""
    new = changed(BY_HAND, with_facts(BY_HAND, size=2_000, sha256="new"))
    assert new == BY_HAND.replace("size=1 ", "size = 2_000 ").replace(
        "\"sha256\" = 'old # not a comment'", 'sha256 = "new"'
    )


def test_a_new_fact_stands_in_its_order() -> None:
    """Behind the last key that goes before it, wherever the user has that."""
    new = changed(BY_HAND, with_facts(BY_HAND, commit="c", lfs_pointer_sha1="d"))
    assert new.splitlines()[11:19] == [
        'url = "https://h/O/R/resolve/main/a#b.gguf"  # moved once',
        'filename = "a.gguf"',
        'commit = "c"',
        "size=1    # bytes",
        "# proved by hand:",
        "\"sha256\" = 'old # not a comment'",
        'lfs_pointer_sha1 = "d"',
        "",
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_the_last_line_may_lack_its_end(ending: str) -> None:
    """Many editors leave it out."""
    text = BY_HAND.removesuffix("# the end\n").rstrip("\n") + ending
    models = values_of(text)
    models[1]["file"][0]["size"] = 7
    assert changed(text, models).endswith('url = "https://h/c.gguf"\nsize = 7\n')


def test_a_catalog_of_inline_tables_is_written_anew() -> None:
    """It says the same; of its comments those at the top stay."""
    models = with_facts(INLINE, size=2)
    new = changed(INLINE, models)
    assert values_of(new) == models
    assert new.startswith("# My models.\n# All of them.\n\n[[model]]\nname = ")
    assert entries_of(INLINE) == ("# My models.\n# All of them.\n", [written(values_of(INLINE)[0])])


def test_the_entries_of_a_file_have_the_comments_above_them() -> None:
    """Put together again they are the file."""
    head, entries = entries_of(BY_HAND)
    assert head == "# My models.\n\n"
    assert [entry.splitlines()[0] for entry in entries] == ["# the small one", "# the other one"]
    assert [values_of(entry)[0]["name"] for entry in entries] == ["one", "two"]
    assert joined(head, entries) == BY_HAND
    assert joined("", reversed(entries)).startswith("# the other one\n")


def test_a_long_list_takes_no_long_time() -> None:
    """A list of many lines is not read again for each of them."""
    aliases = "".join(f'    "a{n}",\n' for n in range(20_000))
    text = BY_HAND.replace('    "uno",  # in Spanish\n', aliases)
    assert joined(*entries_of(text)) == text


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FACTS = st.fixed_dictionaries(
    {"filename": TEXT, "url": TEXT},
    optional={"size": st.integers(0, 2**63 - 1), "sha256": TEXT, "commit": TEXT, "role": TEXT},
)


@given(name=TEXT, aliases=st.lists(TEXT), files=st.lists(FACTS, min_size=1, max_size=3), facts=FACTS)
def test_whatever_is_written_is_read_again(name: str, aliases: list[str], files: list[Any], facts: Any) -> None:
    """Every text, with quotes, control characters and signs of TOML itself in it; written or changed in place."""
    model = {"name": name, "aliases": aliases, "file": files}
    text = joined("", [written(model)])
    assert tomllib.loads(text) == {"model": [model]}
    meant = {**model, "file": [{**files[0], **facts}, *files[1:]]}
    new = changed(text, [meant])
    assert values_of(new) == [meant]
    assert new == joined("", [written(meant)])
    assert changed(new, [meant]) == new
