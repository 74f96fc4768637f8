"""Limits that keep a hostile or mistaken file from costing more than it should."""

from __future__ import annotations

from dataclasses import dataclass


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
    tokens: int = 200_000
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
    instance_depth: int = 64
    """Blocks and nets used inside one another."""
    list_items: int = 100_000
    """Items of a list, and turns of a range."""
    tensor_elements: int = 1 << 31
    """Elements of one tensor."""
    messages: int = 20
    """Diagnostics of one run."""


DEFAULT_LIMITS = Limits()
"""The limits of the command line."""
