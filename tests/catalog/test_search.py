"""A search finds a model by every word of it, and the one that is called so first."""

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
    """Exact, then how a name begins, then within it, then group, licence and file; else the catalog's order."""
    assert [model.reference for model in search(text, CATALOG)] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fxo", "did you mean fox"),
        ("animls", "did you mean animals"),
        ("apache-20", "did you mean apache-2.0"),
        ("fox animls", 'matches all of "fox animls"; did you mean animals'),
        ("hound mit", 'matches all of "hound mit"'),
        ("\x1bxyzzy", r'matches "\x1bxyzzy"'),
    ],
)
def test_what_is_not_there_gets_near_words(text: str, said: str) -> None:
    """For those of the words that nothing has."""
    with pytest.raises(ResolveError) as caught:
        search(text, CATALOG)
    assert said in caught.value.message
    assert ("did you mean" in caught.value.message) == ("did you mean" in said)


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_to_search_for_is_a_slip(text: str) -> None:
    """Not the whole catalog: that is `luci list --available`."""
    with pytest.raises(UsageError, match="nothing to search for"):
        search(text, CATALOG)
