"""JSON of any shape, for files that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 2, 1 << 62, 1 << 63, 10**400, -(10**400)]),
    st.floats(),
    st.text(st.characters()),
    st.sampled_from(["", "../x", "\ud800", "a\x00b", "\x1b[31m", "x" * 5000, "0" * 64, "m.gguf"]),
)
JSON = st.recursive(
    _SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4))
)
"""Any value, also numbers and texts that no other program reads."""


def changed(facts: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The object with other values in some of its places, or without them, or with others beside them."""
    some = st.dictionaries(st.sampled_from(sorted(facts)), JSON, max_size=3)
    without = st.sets(st.sampled_from(sorted(facts)), max_size=1)
    more = st.dictionaries(st.text(), JSON, max_size=1)

    def combined(some: dict[str, Any], without: set[str], more: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in {**more, **facts, **some}.items() if key not in without}

    return st.builds(combined, some, without, more)
