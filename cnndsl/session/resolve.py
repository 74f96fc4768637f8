"""From what program and user say to settings that all have a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cnndsl.data import DATASETS, Crop, DataSpec, Flip, Jitter, Shift
from cnndsl.frontend import ast
from cnndsl.frontend.elaborate import Elaboration, elaborate
from cnndsl.frontend.sections import DataSection, Setting, TrainSection
from cnndsl.frontend.train_words import choice_of
from cnndsl.frontend.values import SizeValue
from cnndsl.layers.base import Hwc
from cnndsl.layers.weights import override_inits
from cnndsl.recipes.choices import make_optimizer, make_schedule
from cnndsl.session.choices import Choices
from cnndsl.support.diagnostics import DataError, DiagnosticError
from cnndsl.train.settings import TrainSettings

BUILT_IN = "digits"
"""The data set that a program without data is trained on."""

Augment = Flip | Shift | Crop | Jitter


_OF_PATHS = frozenset({"E0801", "E0813"})
"""Codes of errors that a program's path of data can be to blame for."""


@contextmanager
def pointing_into(program: ast.Program) -> Iterator[None]:
    """Give errors that point into the program its text, so that they show the line."""
    try:
        yield
    except DiagnosticError as problem:
        problem.sources = {program.source.name: program.source, **problem.sources}
        raise


@contextmanager
def pointing_at_source(section: DataSection | None) -> Iterator[None]:
    """Give errors about a path of data the place where the program names it."""
    try:
        yield
    except DataError as problem:
        source = section.source if section is not None else None
        where = source.span if source is not None else None
        problem.diagnostics = tuple(
            replace(found, span=where) if found.span is None and found.code in _OF_PATHS else found
            for found in problem.diagnostics
        )
        raise


def plain_elaboration(
    program: ast.Program, choices: Choices, *, base_dir: Path | None
) -> Elaboration:
    """Elaborate a program for the data it is going to meet, as far as that is known.

    A program without an input takes the size of the data set, one that ends in a bare SOFTMAX or
    FC its number of classes. Raises `DiagnosticError`.
    """
    size, classes = _seen_from_outside(choices.data or BUILT_IN)
    return elaborate(
        program, params=choices.params, input_size=size, classes=classes, base_dir=base_dir
    )


def _seen_from_outside(name: str) -> tuple[Hwc | None, int | None]:
    """Give size and classes of a data set that is known by name, without reading it."""
    source = DATASETS.get(name)
    return (source.shape, len(source.classes)) if source is not None else (None, None)


def with_chosen_start(elaboration: Elaboration) -> Elaboration:
    """Let weights begin as the `init:` line of `train` says, where their layer does not say it."""
    setting = elaboration.train.init if elaboration.train is not None else None
    if setting is None:
        return elaboration
    numbers = [*setting.args, *(setting.kwargs.get(k) for k in ("std", "scale"))]
    spread = next((v for v in numbers if isinstance(v, int | float)), None)
    network = override_inits(elaboration.network, setting.name, spread=spread)
    return replace(elaboration, network=network)


def resolve(elaboration: Elaboration, choices: Choices, notes: list[str]) -> TrainSettings:
    """Give every setting of a training a value: the user's, the program's, or the usual one.

    Adds to `notes` what was decided that nobody asked for. Raises `DiagnosticError`.
    """
    section = elaboration.train or TrainSection()
    usual = TrainSettings()
    settings = TrainSettings(
        data=choices.data or section.data or BUILT_IN,
        loss=section.loss.name if section.loss else usual.loss,
        loss_options=_loss_options(section.loss),
        optimizer=make_optimizer(choice_of(section.optimizer))
        if section.optimizer
        else usual.optimizer,
        schedule=make_schedule(choice_of(section.schedule)) if section.schedule else usual.schedule,
        batch=choices.batch or section.batch or usual.batch,
        epochs=choices.epochs or section.epochs or usual.epochs,
        seed=_first(choices.seed, section.seed, usual.seed),
        clip=section.clip,
        patience=choices.patience or section.patience,
        top=_top(section, usual.top),
    )
    if choices.rate is not None:
        settings = replace(settings, optimizer=replace(settings.optimizer, lr=choices.rate))
    if elaboration.train is None:
        notes.append(
            f"the program does not say how to train: {settings.data}, {settings.loss}, "
            f"{settings.describe_optimizer()}, batches of {settings.batch}, "
            f"{settings.epochs} epochs"
        )
    return settings


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _top(section: TrainSection, usual: int) -> int:
    """Read the k of a metric such as `top5`."""
    for name in section.metrics:
        digits = name.removeprefix("top").removeprefix("-").removeprefix("_")
        if name.startswith("top") and digits.isdigit() and int(digits) > 0:
            return int(digits)
    return usual


def _loss_options(setting: Setting | None) -> dict[str, float | bool | str]:
    if setting is None:
        return {}
    return {k: v for k, v in setting.kwargs.items() if isinstance(v, bool | int | float | str)}


def data_spec(
    elaboration: Elaboration, settings: TrainSettings, choices: Choices, notes: list[str]
) -> DataSpec:
    """Say which data a run uses and how it is prepared.

    The program's section of the data's name holds; data that the program does not describe are
    prepared in the usual way. Where neither sets validation images apart, a tenth is.
    """
    section = elaboration.data.get(settings.data)
    if section is not None:
        spec = _from_section(section)
    elif settings.data not in DATASETS and Path(settings.data).is_dir():
        spec = DataSpec(Path(settings.data).resolve().name, source="folder")
    else:
        spec = DataSpec(settings.data)
    return replace(
        spec,
        limit=choices.limit or spec.limit,
        skip_bad=choices.skip_bad,
        val=spec.val or settings.val,
    )


def _from_section(section: DataSection) -> DataSpec:
    name, kind = _source(section)
    shares = section.split or ()
    return DataSpec(
        name,
        source=kind,
        resize=section.resize,
        pad=section.pad,
        mean=section.mean or (),
        std=section.std or (),
        val=shares[1] if len(shares) > 1 else 0.0,
        test=shares[2] if len(shares) > 2 else None,
        limit=section.limit,
        augment=tuple(_augment(setting) for setting in section.augment),
        seed=section.seed or 0,
    )


def _source(section: DataSection) -> tuple[str, str]:
    """Give name and kind of a source: `mnist`, `idx "mnist"`, `folder "pets"`."""
    setting = section.source
    if setting is None:
        return section.name, "named"
    kinds = {"idx": "idx", "cifar": "cifar", "folder": "folder", "images": "folder"}
    kind = kinds.get(setting.name.casefold())
    if kind is None:
        return setting.name, "named"
    paths = [str(value) for value in setting.args if isinstance(value, str)]
    return (paths[0] if paths else section.name), kind


def _augment(setting: Setting) -> Augment:
    """Read one step of augmentation, which the frontend has judged."""
    numbers = [v for v in setting.args if isinstance(v, int | float) and not isinstance(v, bool)]
    sizes = [v for v in setting.args if isinstance(v, SizeValue)]
    match setting.name:
        case "flip":
            return Flip()
        case "shift":
            return Shift(int(numbers[0]))
        case "crop":
            height, width = sizes[0].dims[:2] if sizes else (int(numbers[0]), int(numbers[0]))
            return Crop((height or 0, width or 0), pad=_pad(setting.kwargs))
        case _:
            return Jitter(float(numbers[0])) if numbers else Jitter()


def _pad(named: Mapping[str, object]) -> int:
    value = named.get("pad", 0)
    return value if isinstance(value, int) else 0
