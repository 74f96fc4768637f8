"""Reads `train { .. }` and `data NAME { .. }`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cnndsl.frontend import ast
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.here import text_of
from cnndsl.frontend.paths import check_path
from cnndsl.frontend.section_lines import SectionLine, read_lines, word_value
from cnndsl.frontend.sections import DataSection, EpochAction, Setting, TrainSection
from cnndsl.frontend.train_words import (
    judged_augment,
    judged_metric,
    judged_optimizer,
    judged_schedule,
    judged_start,
)
from cnndsl.frontend.values import Value, kind_of
from cnndsl.layers.base import LayerError, SettingValue
from cnndsl.layers.losses import find_loss
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.source import Span

TRAIN_LINES = (
    "data", "loss", "optimizer", "schedule", "init", "batch", "epochs", "steps", "seed", "clip",
    "patience", "early stopping", "metrics", "at",
)  # fmt: skip
"""Lines of a `train` section."""

DATA_LINES = (
    "source", "resize", "pad", "normalize", "split", "limit", "seed", "channels", "classes",
    "augment",
)  # fmt: skip
"""Lines of a `data` section."""

LATER = "training written out"
LATER_LOSSES = ("yolo", "ssd", "dice", "focal", "triplet", "gan")
LATER_LOSS_OPTIONS = ("weights", "shift")
LATER_SOURCES = ("unpaired", "pairs")

Found = TypeVar("Found", TrainSection, DataSection)

Targets = Callable[[ast.Word], tuple[str, ...]]
"""Finds the layers that a word names."""


@dataclass(slots=True)
class SectionReader:
    """Reads sections and collects what is wrong with them."""

    evaluator: Evaluator
    """Names and expressions at the top of the program."""
    targets: Targets
    """Finds the layers that a word names."""
    errors: list[Diagnostic] = field(default_factory=list)
    """What is wrong."""
    missing: list[tuple[str, str, Span]] = field(default_factory=list)
    """Constructs that are not available yet."""
    implied: dict[str, DataSection] = field(default_factory=dict)
    """Data that a `train` section names with their source."""

    # -------------------------------------------------------------- train

    def train(self, section: ast.Section) -> TrainSection:
        """Read `train { .. }`."""
        names = [w for w in section.words.items[1:] if isinstance(w, ast.Name)]
        found = TrainSection(names[0].text if names else None, span=section.span)
        return self._lines(section, found, TRAIN_LINES, "train", self._train_line)

    def _lines(
        self,
        section: ast.Section,
        found: Found,
        known: Sequence[str],
        title: str,
        read: Callable[[Found, SectionLine], Found],
    ) -> Found:
        """Read the lines of a section one by one; a wrong one is reported and left out."""
        spans: dict[str, Span] = {}
        for line in read_lines(section, self.evaluator, known, title):
            match line:
                case DiagnosticError():
                    self.errors += line.diagnostics
                case SectionLine():
                    spans.setdefault(line.key, line.span)
                    try:
                        found = read(found, line)
                    except DiagnosticError as problem:
                        self.errors += problem.diagnostics
                case _:
                    self._later(line)
        return replace(found, spans=spans)

    def _train_line(self, section: TrainSection, line: SectionLine) -> TrainSection:
        match line.key:
            case "data":
                return replace(section, data=self._data_name(line))
            case "loss":
                return replace(section, loss=self._loss(line))
            case "optimizer":
                return replace(section, optimizer=judged_optimizer(line.setting()))
            case "schedule":
                return replace(section, schedule=judged_schedule(line.setting()))
            case "init":
                return replace(section, init=judged_start(line.setting()))
            case "batch":
                return replace(section, batch=line.whole())
            case "epochs":
                return replace(section, epochs=line.whole())
            case "steps":
                return replace(section, steps=line.whole())
            case "seed":
                return replace(section, seed=line.whole(0))
            case "clip":
                return replace(section, clip=line.number())
            case "patience" | "early stopping":
                return replace(section, patience=_patience(line))
            case "metrics":
                names = tuple(map(judged_metric, line.settings()))
                return replace(section, metrics=names)
            case _:
                actions = (*section.actions, *self._actions(line))
                return replace(section, actions=actions)

    def _data_name(self, line: SectionLine) -> str:
        first = line.items[0]
        if isinstance(first, ast.Name) and first.text.casefold() in LATER_SOURCES:
            self.missing.append((first.text, "data in pairs", first.span))
            return first.text
        setting = line.setting()
        paths = [a for a in setting.args if isinstance(a, str)]
        if not paths:
            return text_of(first)
        for item in line.items:
            if isinstance(item, ast.String):
                check_path(item, what="data")
        name = paths[0].strip("/").rpartition("/")[2]
        self.implied[name] = DataSection(name, setting, span=line.span)
        return name

    def _loss(self, line: SectionLine) -> Setting:
        setting = line.setting()
        later = [o for o in setting.kwargs if o in LATER_LOSS_OPTIONS]
        if setting.name in LATER_LOSSES or setting.args or later:
            what = setting.name if not later else f"{setting.name}({later[0]}=..)"
            self.missing.append((what, "losses of other tasks", line.span))
            return setting
        try:
            loss = find_loss(setting.name)
            loss.complete(plain_settings(setting.kwargs))
        except LayerError as problem:
            raise DiagnosticError(
                error(
                    problem.code,
                    problem.message,
                    line.span,
                    label=problem.label,
                    notes=problem.notes,
                    helps=problem.helps,
                )
            ) from None
        return replace(setting, name=loss.name)

    def _actions(self, line: SectionLine) -> list[EpochAction]:
        """Read `at 10: unfreeze FC6..FC7, lr 1e-4`."""
        numbers = [w for w in line.label.items[1:] if isinstance(w, ast.Number)]
        epoch = numbers[0].value if len(numbers) == 1 else 0
        if len(line.label.items) != 2 or not isinstance(epoch, int) or epoch < 1:
            raise DiagnosticError(
                error(
                    "E0207",
                    "`at` takes the number of an epoch, from 1",
                    line.label.span,
                    helps=("for example `at 10: lr 1e-4`",),
                )
            )
        found = []
        for part in line.parts:
            first, *rest = part.items
            word = text_of(first).casefold()
            if word in ("freeze", "unfreeze") and rest:
                layers = tuple(
                    name for item in rest if text_of(item) != "and" for name in self.targets(item)
                )
                found.append(EpochAction(epoch, word, layers, None, part.span))
            elif word == "lr" and len(rest) == 1:
                rate = word_value(rest[0], line.evaluator)
                if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
                    raise line.wrong(f"takes a learning rate above 0, not {kind_of(rate)}")
                found.append(EpochAction(epoch, "lr", (), float(rate), part.span))
            else:
                raise DiagnosticError(
                    error(
                        "E0204",
                        f"`{word}` is nothing that happens at an epoch",
                        part.span,
                        label="`freeze`, `unfreeze` or `lr`",
                    )
                )
        return found

    def _later(self, statement: object) -> None:
        match statement:
            case ast.Objective(words=words):
                text = text_of(words.items[0]) if words is not None else "minimize"
                self.missing.append((text, LATER, statement.span))
            case ast.Let():
                self.missing.append(("let", LATER, statement.span))
            case ast.Repeat() | ast.If():
                word = "repeat" if isinstance(statement, ast.Repeat) else "if"
                self.missing.append((word, LATER, statement.span))
            case ast.Syntax():
                self.errors.append(
                    error(
                        "E0214",
                        "a section consists of lines with a colon",
                        statement.span,
                        helps=("for example `batch: 128`",),
                    )
                )

    # -------------------------------------------------------------- data

    def data(self, section: ast.Section) -> DataSection:
        """Read `data mnist { .. }`."""
        names = [w for w in section.words.items[1:] if isinstance(w, ast.Name)]
        name = names[0].text if names else "data"
        found = DataSection(name, span=section.span)
        return self._lines(section, found, DATA_LINES, "data", self._data_line)

    def _data_line(self, section: DataSection, line: SectionLine) -> DataSection:
        match line.key:
            case "source":
                for item in line.items:
                    if isinstance(item, ast.String):
                        check_path(item, what="data")
                return replace(section, source=line.setting())
            case "resize":
                sides = line.sides()
                return replace(section, resize=(sides, sides) if isinstance(sides, int) else sides)
            case "pad":
                return replace(section, pad=line.sides())
            case "normalize":
                return _normalized(section, line)
            case "split":
                return replace(section, split=_shares(line))
            case "limit":
                return replace(section, limit=line.whole())
            case "seed":
                return replace(section, seed=line.whole(0))
            case "channels":
                return replace(section, channels=_channels(line))
            case "classes":
                return replace(section, classes=line.whole())
            case _:
                return replace(section, augment=tuple(map(judged_augment, line.settings())))


def plain_settings(kwargs: Mapping[str, Value]) -> dict[str, SettingValue]:
    """Give the settings of a loss as layers take them; sizes and maps cannot be settings."""
    return {
        name: value for name, value in kwargs.items() if isinstance(value, bool | int | float | str)
    }


def _patience(line: SectionLine) -> int:
    items = [i for i in line.items if not isinstance(i, ast.Name)]
    if len(items) != 1:
        raise line.wrong("takes a number of epochs")
    value = word_value(items[0], line.evaluator)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise line.wrong(f"is a whole number of epochs, not {kind_of(value)}")
    return value


def _channels(line: SectionLine) -> int:
    value = line.value()
    named = {"grey": 1, "gray": 1, "rgb": 3, "colour": 3, "color": 3}
    found = named.get(value.casefold()) if isinstance(value, str) else value
    if found not in (1, 3) or isinstance(found, bool):
        raise line.wrong(f"are 1 (grey) or 3 (rgb), not {kind_of(value)}")
    assert isinstance(found, int)
    return found


def _numbers(value: Value) -> tuple[float, ...] | None:
    items = value if isinstance(value, tuple) else (value,)
    found = [float(v) for v in items if isinstance(v, int | float) and not isinstance(v, bool)]
    return tuple(found) if len(found) == len(items) and found else None


def _normalized(section: DataSection, line: SectionLine) -> DataSection:
    found: dict[str, tuple[float, ...]] = {}
    for setting in line.settings():
        values = _numbers(setting.args[0]) if len(setting.args) == 1 else _numbers(setting.args)
        if setting.name not in ("mean", "std") or not values or setting.kwargs:
            raise line.wrong("takes `mean` and `std`, numbers for all or for each channel")
        found[setting.name] = values
    return replace(section, mean=found.get("mean"), std=found.get("std"))


def _shares(line: SectionLine) -> tuple[float, ...]:
    values: list[Value] = []
    for part in line.parts:
        values += [word_value(i, line.evaluator) for i in part.items if not _is_name(i)]
    shares = _numbers(tuple(values))
    if not shares or len(shares) > 3 or not all(0 < s <= 1 for s in shares) or sum(shares) > 1.001:
        raise line.wrong("takes shares that make at most 100%, such as `80%, 10%, 10%`")
    return shares


def _is_name(item: ast.Word) -> bool:
    return isinstance(item, ast.Name)
