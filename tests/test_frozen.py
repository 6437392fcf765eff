"""`frozen` makes what `dataclass(frozen=True)` makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.frozen import frozen


def classes(decorate: Callable[[type], type]) -> tuple[Any, Any]:
    """A class with all kinds of fields, and one that inherits from it."""

    @decorate
    class Base:
        """A base."""

        name: str
        secret: str = dataclasses.field(default="", repr=False)
        headers: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
        cache: int = dataclasses.field(default=0, compare=False)

    @decorate
    class Derived(Base):
        """A derived class."""

        size: int | None = None

        def __repr__(self) -> str:
            return "its own"

    return Base, Derived


OURS, THEIRS = classes(frozen), classes(dataclasses.dataclass(frozen=True))
VALUES = st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.just({"a": "b"}) | st.just({}), st.integers(0, 1))


@given(VALUES, VALUES, st.integers(0, 1), st.integers(0, 1))
def test_what_is_frozen_compares_hashes_and_prints_as_a_dataclass(a: Any, b: Any, one: int, other: int) -> None:
    """By the same fields, and never equal to an object of another class."""
    ours, theirs = (OURS[one](*a), OURS[other](*b)), (THEIRS[one](*a), THEIRS[other](*b))
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])
    assert ours[0] != ours[1] or hash(ours[0]) == hash(ours[1])
    assert [repr(each) for each in ours] == [repr(each) for each in theirs]
    assert ours[0] != a


def test_what_is_frozen_cannot_be_changed() -> None:
    """But replaced and matched, and turned into a dictionary."""
    made = OURS[1]("a", size=1)
    for name in ("name", "cache", "size", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, "b")
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(made, name)
    assert dataclasses.replace(made, name="b") == OURS[1]("b", size=1)
    assert dataclasses.asdict(made) == {"name": "a", "secret": "", "headers": {}, "cache": 0, "size": 1}
    assert OURS[1].__match_args__ == THEIRS[1].__match_args__
    assert copy.copy(made) == made == copy.deepcopy(made)


def test_what_is_frozen_takes_the_same_arguments() -> None:
    """Also in the eyes of `help`, and before the first object was made."""
    for ours, theirs in zip(classes(frozen), THEIRS, strict=True):
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert inspect.signature(ours) == inspect.signature(ours)
        with pytest.raises(TypeError, match=f"{theirs.__name__}.__init__.. missing 1 required positional argument"):
            ours()
        assert inspect.isfunction(vars(ours)["__init__"]), "compiled once, not for each object"


def test_a_class_without_a_docstring_is_described_by_its_name() -> None:
    """`dataclass` writes out its signature then, which costs a start of luci several milliseconds."""

    class Plain:
        size: int

    assert frozen(Plain).__doc__ == "Plain"
