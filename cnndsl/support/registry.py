"""The one registry class: names to things, with errors that list what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from cnndsl.support.suggest import nearest

T = TypeVar("T")


class UnknownNameError(KeyError):
    """A name that a registry does not hold; the message suggests the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Generic[T], Mapping[str, T]):
    """Name to thing, in order of registration.

    >>> colours: Registry[int] = Registry("colour")
    >>> colours.register("red", 1)
    1
    >>> colours["rad"]
    Traceback (most recent call last):
    ...
    cnndsl.support.registry.UnknownNameError: no colour is called 'rad'; did you mean 'red'?
    """

    def __init__(self, kind: str) -> None:
        """Make an empty registry; `kind` names what it holds, for messages."""
        self.kind = kind
        self._things: dict[str, T] = {}

    def register(self, name: str, thing: T) -> T:
        """Add `thing` under `name`; a name is given once."""
        if name in self._things:
            raise ValueError(f"the {self.kind} {name!r} is registered twice")
        self._things[name] = thing
        return thing

    def named(self, name: str) -> Callable[[T], T]:
        """Register the decorated thing under `name`."""
        return lambda thing: self.register(name, thing)

    def __getitem__(self, name: str) -> T:
        try:
            return self._things[name]
        except KeyError:
            close = nearest(name, self._things)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UnknownNameError(f"no {self.kind} is called {name!r}{hint}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)
