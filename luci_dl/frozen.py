"""Frozen dataclasses that load fast."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a frozen dataclass, which behaves as one of `dataclass(frozen=True)`.

    That compiles six methods for each class, which took a fifth of the time that luci needs to start. Here the first
    use of a class compiles its `__init__`, and the others are shared.
    """
    kind.__doc__ = kind.__doc__ or kind.__name__  # else dataclass makes one from the signature, in several ms
    made: Any = dataclass(init=False, eq=False, repr=False)(kind)
    names = {each.name for each in fields(made)}
    compared = attrgetter("__class__", *(each.name for each in fields(made) if each.compare))
    hashed = attrgetter("__class__", *(each.name for each in fields(made) if each.compare and each.hash is not False))
    shown = [each.name for each in fields(made) if each.repr]

    def __setattr__(self: object, name: str, value: object) -> None:
        own = vars(self)
        if name in own or name not in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        own[name] = value  # in __init__

    def __delattr__(self: object, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self: object, other: object) -> bool:
        return bool(compared(self) == compared(other)) if type(self) is type(other) else NotImplemented

    def __hash__(self: object) -> int:
        return hash(hashed(self))

    def __repr__(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    for method in (__setattr__, __delattr__, __eq__, __hash__, __repr__):
        if method.__name__ not in vars(kind):
            setattr(kind, method.__name__, method)
    if "__init__" not in vars(kind):
        made.__init__ = _Init(kind)
    return kind


class _Init:
    """The `__init__` of a frozen dataclass, compiled when it is first looked up."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __get__(self, made: object | None, _kind: type | None = None) -> Any:
        twin = type(self._kind.__name__, (self._kind,), {"__doc__": self._kind.__doc__})
        init = vars(dataclass(eq=False, repr=False)(twin))["__init__"]
        self._kind.__init__ = init
        return init.__get__(made, self._kind)
