"""The result of elaborating a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.directives import Load
from cnndsl.frontend.params import Parameter
from cnndsl.frontend.sections import DataSection, TrainSection
from cnndsl.layers.base import Hwc
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic
from cnndsl.support.source import SourceFile


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the program leaves to its data."""

    input: Hwc | None = None
    """The input's size, if the program declares no input."""
    classes: int | None = None
    """The number of classes, if a layer needs it and the program does not say it."""


@dataclass(frozen=True, slots=True)
class Elaboration:
    """A program with everything worked out."""

    program: ast.Program
    """The syntax tree."""
    network: Network
    """The main network: the program's own chain, else the net that it trains or its last one."""
    networks: Mapping[str, Network] = field(default_factory=dict)
    """Every `net` that stands by itself, by name."""
    params: Mapping[str, Parameter] = field(default_factory=dict)
    """The parameters, resolved."""
    train: TrainSection | None = None
    """How it is trained."""
    data: Mapping[str, DataSection] = field(default_factory=dict)
    """Its data sections, by name."""
    loads: tuple[Load, ...] = ()
    """Weights that it asks for."""
    notes: tuple[Diagnostic, ...] = ()
    """What is worth knowing."""
    taken_from_data: Assumed = Assumed()
    """What was assumed because only the data can say it."""
    sources: Mapping[str, SourceFile] = field(default_factory=dict, repr=False)
    """Every text that was read, for messages."""
