"""What flows through a network while it is built: streams, and what arrives at a place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnndsl.frontend.records import Source
from cnndsl.layers.base import Hwc
from cnndsl.support.source import Span


@dataclass(frozen=True, slots=True)
class Stream:
    """One value on its way through a network: the result of a layer, or an input."""

    source: Source
    """The layer or input."""
    size: Hwc
    """Its size."""
    span: Span
    """The words that brought it here."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What arrives at a place: no stream, one, or those of parallel branches."""

    streams: tuple[Stream, ...] = ()
    """In the order of the branches."""
    broken: bool = False
    """Whether an error was reported on the way; nothing more is said about sizes then."""
    span: Span | None = None
    """The parallel group it comes from."""

    @property
    def size(self) -> Hwc | None:
        """The size, if exactly one stream arrives."""
        return self.streams[0].size if len(self.streams) == 1 else None

    def brought_by(self, span: Span) -> Flow:
        """Give the same streams, brought here by other words."""
        return replace(self, streams=tuple(replace(s, span=span) for s in self.streams))


NOTHING = Flow()
"""No stream."""

BROKEN = Flow(broken=True)
"""What an element with an error gives."""
