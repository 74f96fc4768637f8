"""A session: network, data and settings joined; all decisions made, nothing begun."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cnndsl.backends import AUTO, FASTEST_FIRST
from cnndsl.backends import load as load_backend
from cnndsl.backends import resolve as resolve_backend
from cnndsl.compiler import CompileOptions, Training, compile_network
from cnndsl.data import DATASETS, DataSpec, PreparedData, PreparedSplit, batches, steps_per_epoch
from cnndsl.data.sources import open_data
from cnndsl.frontend import ast
from cnndsl.frontend.elaborate import Elaboration
from cnndsl.frontend.sections import EpochAction
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.losses import Target, find_loss
from cnndsl.layers.network import Network
from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import Executable, State
from cnndsl.session.choices import Choices
from cnndsl.session.loads import loaded_weights
from cnndsl.session.resolve import (
    data_spec,
    plain_elaboration,
    pointing_at_source,
    pointing_into,
    resolve,
    with_chosen_start,
)
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.settings import Settings
from cnndsl.support.suggest import nearest
from cnndsl.train.evaluate import Batches, evaluate
from cnndsl.train.loop import Event, FitOptions, Trainer
from cnndsl.train.metrics import Tally
from cnndsl.train.progress import Progress
from cnndsl.train.runs import RunFolder
from cnndsl.train.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Session:
    """A network, the data it meets and how it is trained: all decisions made, nothing begun."""

    elaboration: Elaboration
    """The program, elaborated."""
    settings: TrainSettings
    """How it is trained."""
    data: PreparedData
    """Images and labels in the network's sizes."""
    choices: Choices
    """What was asked for."""
    spec: DataSpec
    """Which data, and how it is prepared."""
    base_dir: Path | None = None
    """The folder of the program."""
    notes: tuple[str, ...] = ()
    """What was decided that nobody asked for, a sentence each."""
    _steppers: dict[tuple[bool, ...], Executable] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _scorers: dict[int, Executable] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self.elaboration.network

    @property
    def options(self) -> CompileOptions:
        """How graphs are compiled."""
        options = self.choices.options(self.settings.batch)
        return replace(options, pixels=self.data.pixels)

    def network_at(self, epoch: int) -> Network:
        """Give the network as it is trained in an epoch (from 0): some layers may be frozen."""
        frozen: dict[str, bool] = {}
        for action in self.actions:
            if action.kind != "lr" and action.epoch <= epoch + 1:
                frozen.update(dict.fromkeys(action.layers, action.kind == "freeze"))
        layers = tuple(
            replace(layer, trainable=not frozen.get(layer.name, not layer.trainable))
            for layer in self.network.layers
        )
        return replace(self.network, layers=layers)

    @property
    def actions(self) -> tuple[EpochAction, ...]:
        """What the program says happens at epochs, in their order."""
        train = self.elaboration.train
        return tuple(sorted(train.actions, key=lambda a: a.epoch)) if train is not None else ()

    def stepper(self, epoch: int = 0) -> Executable:
        """Give the training step of an epoch (from 0).

        Epochs in which the same layers are trained share one executable, and with it its state.
        """
        network = self.network_at(epoch)
        key = tuple(layer.trainable for layer in network.layers)
        if key not in self._steppers:
            settings = self.settings
            training = Training(
                settings.optimizer, settings.loss, settings.loss_options, clip=settings.clip
            )
            compiled = compile_network(network, self.options, training=training)
            self._steppers[key] = compiled.executable
        return self._steppers[key]

    def scorer(self, batch: int) -> Executable:
        """Give the network with its loss, in inference, for `batch` images; compiled once."""
        if batch not in self._scorers:
            compiled = compile_network(
                self.network,
                replace(self.options, batch=batch),
                loss=self.settings.loss,
                loss_options=self.settings.loss_options,
            )
            self._scorers[batch] = compiled.executable
        return self._scorers[batch]

    def first_state(self, epoch: int = 0) -> State:
        """Draw the state that training begins with, and read what the program loads."""
        step = self.stepper(epoch)
        drawn = initial_state(step.plan.graph, self.settings.seed)
        elaboration = self.elaboration
        with pointing_into(elaboration.program):
            loaded = loaded_weights(elaboration.loads, step.parameters, base_dir=self.base_dir)
        return {**drawn, **loaded}

    def trainer(
        self,
        *,
        state: State | None = None,
        progress: Progress | None = None,
        folder: RunFolder | None = None,
        observe: Callable[[Event], None] = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Trainer:
        """Make the trainer, which begins with the first state or goes on from `state`.

        A `state` that goes with `progress` is a checkpoint's; one without replaces drawn weights.
        """
        settings = self.settings
        options = FitOptions(
            epochs=settings.epochs,
            rate=settings.optimizer.lr,
            schedule=settings.schedule,
            rates=tuple((a.epoch, a.value) for a in self.actions if a.value is not None),
            patience=settings.patience,
            top=settings.top,
            metadata=self.metadata(),
        )
        if progress is None:
            state = {**self.first_state(), **(state or {})}
        assert state is not None, "a checkpoint has arrays"
        return Trainer(
            self.stepper,
            state,
            self.scorer,
            SessionData(self),
            options,
            progress=progress or Progress(seed=settings.seed),
            folder=folder,
            observe=observe,
            stop=stop,
        )

    def metadata(self) -> dict[str, str]:
        """Give what weights files of a run carry beside their arrays."""
        common = describe_weights(self.elaboration.program, self.network, self.choices)
        return {**common, "classes": "\n".join(self.data.classes), "data": self.data.name}

    def record(self) -> dict[str, object]:
        """Give every decision as JSON values, for `resolved.json`.

        Paths are absolute, so that the run can go on from another folder.
        """
        chosen = {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self.choices).items()
        }
        folder = given_folder(self.choices, self.elaboration)
        if folder is not None:
            chosen["data"] = str(folder)
        return {
            "choices": {**chosen, "dtype": self.choices.dtype.value},
            "base_dir": str(self.base_dir) if self.base_dir else None,
            "training": self.settings.record(),
            "data": dataclasses.asdict(self.spec),
            "classes": list(self.data.classes),
            "notes": list(self.notes),
        }

    def evaluate(self, state: Mapping[str, Array], split: str = "test") -> Tally:
        """Measure `state` on a split: "test", "val" or "train"."""
        splits = {"test": self.data.test, "val": self.data.val, "train": self.data.train}
        chosen = splits.get(split)
        if chosen is None:
            here = [name for name, images in splits.items() if images is not None]
            close = nearest(split, here, limit=1)
            raise DiagnosticError(
                error(
                    "E0821",
                    f"the data set {self.data.name} has no {split} images",
                    notes=(f"it has {', '.join(here)}",),
                    helps=(f"did you mean {close[0]}?",) if close else (),
                )
            )
        return evaluate(
            self.scorer,
            state,
            self.in_order(chosen),
            classes=len(self.data.classes),
            top=self.settings.top,
            feeds=self.feeds,
        )

    def feeds(self, images: Array, labels: Array) -> dict[str, Array]:
        """Name a batch's arrays as the inputs of the network and its loss."""
        if self.data.pixels is not None:
            fed = images.reshape(len(images), -1)
        else:
            fed = images.astype(self.choices.dtype.numpy, copy=False)
        return {self.network.inputs[0].name: fed, "target": self.target(labels)}

    def target(self, labels: Array) -> Array:
        """Give labels in the form that the loss compares with: numbers, or one-hot rows."""
        if find_loss(self.settings.loss).target is Target.LABELS:
            return labels
        rows = np.eye(len(self.data.classes), dtype=self.choices.dtype.numpy)
        return np.asarray(rows[labels])

    def in_order(self, split: PreparedSplit) -> Batches:
        """Walk a split once, in its own order; the last batch may be smaller."""
        for batch in batches(split, min(self.settings.batch, len(split)), last="pad"):
            yield batch.images[: batch.valid], batch.labels[: batch.valid]


@dataclass(frozen=True, slots=True)
class SessionData:
    """The training data of a session, as the loop takes it."""

    session: Session
    """The session."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.session.data.classes)

    @property
    def steps(self) -> int:
        """Training batches in an epoch."""
        return steps_per_epoch(len(self.session.data.train), self.session.settings.batch)

    def training(self, epoch: int, start: int) -> Iterator[tuple[Array, Array]]:
        """Walk the training batches of `epoch` from batch `start`."""
        settings = self.session.settings
        walk = batches(
            self.session.data.train,
            settings.batch,
            seed=settings.seed,
            epoch=epoch,
            shuffle=True,
            start=start,
        )
        for batch in walk:
            yield batch.images, batch.labels

    def validation(self) -> Batches:
        """Walk the images set apart for validation."""
        assert self.session.data.val is not None, "a session sets validation images apart"
        return self.session.in_order(self.session.data.val)

    def feeds(self, images: Array, labels: Array) -> dict[str, Array]:
        """Name a batch's arrays as the inputs of the network and its loss."""
        return self.session.feeds(images, labels)


def describe_weights(program: ast.Program, network: Network, choices: Choices) -> dict[str, str]:
    """Give what a weights file says about itself: the program's text and the choices made."""
    from cnndsl import __version__

    text = program.source.text
    return {
        "cnndsl": __version__,
        "program": text,
        "program.sha256": hashlib.sha256(text.encode()).hexdigest(),
        "params": json.dumps(dict(choices.params), sort_keys=True),
        "input": "x".join(map(str, network.inputs[0].size)),
        "data.choice": choices.data or "",
        "dtype": choices.dtype.value,
    }


def open_session(
    program: ast.Program,
    choices: Choices,
    *,
    base_dir: Path | None,
    like: Session | None = None,
) -> Session:
    """Decide everything that a run needs; `base_dir` is the folder of the program.

    Data that `like`, a session of the same choices, has prepared in the same way is used again.
    Raises `DiagnosticError` for a program that is wrong or does not fit its data, `DataError`.
    """
    notes: list[str] = []
    choices = with_backend(choices, notes)
    elaboration = plain_elaboration(program, choices, base_dir=base_dir)
    with pointing_into(program):
        elaboration = with_chosen_start(elaboration)
        settings = resolve(elaboration, choices, notes)
        spec = data_spec(elaboration, settings, choices, notes)
    folder = given_folder(choices, elaboration)
    size = elaboration.network.inputs[0].size
    if like is not None and like.spec == spec and like.network.inputs[0].size == size:
        data = like.data
    else:
        with pointing_into(program), pointing_at_source(elaboration.data.get(settings.data)):
            data = open_data(
                spec,
                size,
                base_dir=folder.parent if folder is not None else base_dir,
                data_dir=choices.data_dir,
                settings=Settings.from_env(),
                keep_bytes=choices.dtype is DType.F32 and load_backend(choices.device).takes_bytes,
            )
    notes.extend(data.notes)
    with pointing_into(program):
        check_scores(elaboration.network, data)
    if elaboration.train is not None and elaboration.train.steps is not None:
        per_epoch = max(1, steps_per_epoch(len(data.train), settings.batch))
        epochs = choices.epochs or -(-elaboration.train.steps // per_epoch)
        settings = replace(settings, epochs=epochs)
        notes.append(f"{elaboration.train.steps:,} steps are {epochs} epochs of {per_epoch:,}")
    return Session(elaboration, settings, data, choices, spec, base_dir, tuple(notes))


def with_backend(choices: Choices, notes: list[str]) -> Choices:
    """Put the backend that `auto` stands for here in its place, with a note if it is a slow one.

    A run that is resumed elsewhere goes on as it began, or not at all.
    """
    if choices.device != AUTO:
        return choices
    fastest = FASTEST_FIRST[0]
    device = resolve_backend(choices.device)
    if device != fastest:
        reason = load_backend(fastest).unavailable()
        notes.append(f"runs on the {device} backend; {fastest} cannot run here: {reason}")
    return replace(choices, device=device)


def given_folder(choices: Choices, elaboration: Elaboration) -> Path | None:
    """Give the folder of images that was asked for; nothing where the data has a known name."""
    name = choices.data
    if not name or name in elaboration.data or name in DATASETS or not Path(name).is_dir():
        return None
    return Path(name).resolve()


def check_scores(network: Network, data: PreparedData) -> None:
    """Refuse a network whose scores are not one for each class; raises `DiagnosticError` E0820."""
    output = network.size_of(next(iter(network.outputs.values())))
    scores = output[-1] if all(n == 1 for n in output[:-1]) else 0
    if scores != len(data.classes):
        size = "x".join(map(str, output))
        scored = [layer for layer in network.layers if layer.parameters] or network.layers
        raise DiagnosticError(
            error(
                "E0820",
                f"the data set {data.name} has {len(data.classes)} classes, "
                f"but {network.name} ends in [{size}]",
                scored[-1].span if scored else None,
                label=f"one score for each of the {len(data.classes)} classes is needed here",
                helps=(f"end in `fc {len(data.classes)} - softmax`",),
            )
        )
