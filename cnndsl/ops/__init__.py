"""Definitions and rule tables."""

from cnndsl.ops import structural as structural
