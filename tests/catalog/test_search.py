"""A search finds models by any of their words, best matches first."""

from __future__ import annotations

import pytest

from luci_dl.catalog.catalog import Catalog
from luci_dl.catalog.search import search
from luci_dl.errors import ResolveError, UsageError
from luci_dl.model import Artifact, Model


def model(name: str, *aliases: str, file: str = "x.gguf", groups: tuple[str, ...] = (), license: str = "") -> Model:
    return Model(name, (Artifact(file, ("https://h/x",)),), aliases, groups, license=license or None)


CATALOG = Catalog.of(
    [
        model("big-fox", groups=("animals",), license="MIT"),
        model("owl", file="birds/Fox-Owl.gguf", groups=("Animals",), license="apache-2.0"),
        model("foxes", license="mit"),
        model("hound", "FOX"),
    ],
    [model("mine", "fox-mine")],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fox", ["hound", "foxes", "mine", "big-fox", "owl"]),
        ("FOX", ["hound", "foxes", "mine", "big-fox", "owl"]),
        ("mit", ["big-fox", "foxes"]),
        ("animals", ["big-fox", "owl"]),
        ("fox mit", ["foxes", "big-fox"]),
        ("  mit\tbig ", ["big-fox"]),
        ("birds/", ["owl"]),
        ("2.0", ["owl"]),
        ("mine", ["mine"]),
    ],
)
def test_all_words_must_match_and_names_go_first(text: str, found: list[str]) -> None:
    """Exact name, prefix, part of a name, then group, licence and file; otherwise in the order of the catalog."""
    assert [model.reference for model in search(text, CATALOG)] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fxo", "did you mean fox"),
        ("animls", "did you mean animals"),
        ("apache-20", "did you mean apache-2.0"),
        ("fox animls", 'matches all of "fox animls"; did you mean animals'),
        ("hound mit", 'matches all of "hound mit"'),
        ("\x1bxyzzy", r'matches "\x1bxyzzy"'),
    ],
)
def test_a_search_without_results_suggests_words(text: str, expected: str) -> None:
    """For the words that match nothing."""
    with pytest.raises(ResolveError) as caught:
        search(text, CATALOG)
    assert expected in caught.value.message
    assert ("did you mean" in caught.value.message) == ("did you mean" in expected)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_search_is_refused(text: str) -> None:
    """`luci list --available` shows the whole catalog."""
    with pytest.raises(UsageError, match="nothing to search for"):
        search(text, CATALOG)
