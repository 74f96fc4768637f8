"""Limits that keep a hostile or mistaken file from costing more than it should."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit in one place; an embedding tool passes its own.

    A cheap limit is checked before what it protects: the size before reading, the digits before
    converting, the layers before unrolling.
    """

    file_bytes: int = 1 << 20
    """Bytes of one file."""
    total_bytes: int = 4 << 20
    """Bytes of a program and everything that it imports."""
    files: int = 64
    """Files of a program, its imports included."""
    import_depth: int = 16
    """Files that import one another in a row."""
    tokens: int = 40_000
    """Tokens of one file."""
    bracket_depth: int = 100
    """Brackets, parentheses and braces open at the same place."""
    nesting: int = 200
    """Syntax inside syntax, with or without brackets."""
    digits: int = 18
    """Digits of one number."""
    name_chars: int = 255
    """Characters of one name."""
    string_chars: int = 4096
    """Characters of one string."""
    max_layers: int = 100_000
    """Layers of a network, after everything that repeats has been unrolled."""
    recurrent_steps: int = 1000
    """Steps that one recurrent layer is unrolled over; compiling a thousand takes half a minute."""
    instance_depth: int = 64
    """Blocks and nets used inside one another."""
    list_items: int = 100_000
    """Items of a list, and turns of a range."""
    tensor_elements: int = 1 << 31
    """Elements of one tensor."""
    memory_bytes: int | None = None
    """Memory that a network is compared with; nothing for the machine's own."""
    messages: int = 20
    """Diagnostics of one run."""
    seconds: float | None = None
    """How long reading, and then building, may take; nothing for no such limit."""


@dataclass(slots=True)
class Watch:
    """Tells when a limit of time is reached."""

    limits: Limits
    """The limits."""
    started: float = field(default_factory=time.monotonic)
    """When the work began."""

    @property
    def is_over(self) -> bool:
        """Whether the work has taken too long."""
        seconds = self.limits.seconds
        return seconds is not None and time.monotonic() - self.started >= seconds


DEFAULT_LIMITS = Limits()
"""The limits of the command line."""

DEADLINE = "whoever runs it sets that limit: `check(program, limits=Limits(seconds=60))`"
"""What is said when time is up; nothing limits it where nobody asked for a limit."""
