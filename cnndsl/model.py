"""The library's face: a program with its weights.

    model = cnndsl.load("lenet.cnn")
    model.fit(epochs=5)
    model.evaluate()
    model.predict(images)
    model.save("lenet.safetensors")

Nothing here prints. What is wrong with a program, data or weights is one kind of exception,
`cnndsl.DiagnosticError`, which carries the diagnostics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnndsl.backends.base import Precision
from cnndsl.compiler import Compilation, CompileOptions, Training, compile_network
from cnndsl.data.single import prepare_images
from cnndsl.draw.picture import Style, to_svg
from cnndsl.frontend import ast
from cnndsl.frontend.find import read_program
from cnndsl.frontend.lower import lower, node_names
from cnndsl.frontend.parse import parse
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import State
from cnndsl.runtime.foreign import ForeignError, host_array
from cnndsl.session import (
    Choices,
    Scorers,
    Session,
    data_spec,
    describe_weights,
    frozen,
    open_session,
    plain_elaboration,
    resolve,
)
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, WeightsError, error
from cnndsl.train.checkpoint import check_fit, load_state, save_state
from cnndsl.train.loop import Event
from cnndsl.train.runs import RunFolder


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training gave."""

    epochs: tuple[Mapping[str, Any], ...]
    """A row an epoch: loss, accuracy, val_loss, val_accuracy, lr, seconds, ..."""
    best_epoch: int
    """The epoch whose weights the model now has, from 1."""
    test: Mapping[str, float] | None
    """Loss, accuracy and top-k on the test images, if the data set has any."""


class Model:
    """A program, the choices made for it, and its weights."""

    def __init__(
        self, program: ast.Program, *, choices: Choices | None = None, base_dir: Path | None = None
    ) -> None:
        """Take a program that has been parsed; `load` and `from_text` are the usual ways here.

        Raises `DiagnosticError` if the program is wrong.
        """
        self.program = program
        """The syntax tree."""
        self.choices = choices or Choices()
        """Parameters, data, device."""
        self._state: State | None = None
        self._base_dir = base_dir
        self._elaboration = plain_elaboration(program, self.choices, base_dir=base_dir)
        self._scorers = Scorers(self.network, self.choices)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        params: Mapping[str, str | int | float | bool] | None = None,
        device: str = "cpu",
        precision: Precision = "fast",
    ) -> Model:
        """Read a program by file name or by its name in the zoo, or from a weights file.

        `precision="exact"` forbids algorithms that round otherwise than a plain sum.

        Raises `DiagnosticError` with everything that is wrong.
        """
        if str(name).endswith(".safetensors"):
            return cls.from_weights(Path(name), device=device, precision=precision)
        program, base_dir = read_program(name)
        choices = Choices(params=dict(params or {}), device=device, precision=precision)
        return cls(program, choices=choices, base_dir=base_dir)

    @classmethod
    def from_text(
        cls,
        text: str,
        name: str = "program.cnn",
        *,
        params: Mapping[str, str | int | float | bool] | None = None,
        device: str = "cpu",
        precision: Precision = "fast",
    ) -> Model:
        """Read a program from a string; `name` is what messages call it."""
        choices = Choices(params=dict(params or {}), device=device, precision=precision)
        return cls(parse(text, name), choices=choices)

    @classmethod
    def from_weights(
        cls, path: Path, *, device: str = "cpu", precision: Precision = "fast"
    ) -> Model:
        """Read a weights file that `save` or a run wrote: it holds the program's text.

        Raises `WeightsError` for a file that is none or does not fit its own program.
        """
        state, metadata = load_state(path)
        if "program" not in metadata:
            raise DiagnosticError(
                error(
                    "E0712",
                    f"{path} does not hold the program of its weights",
                    notes=(f"arrays: {len(state):,}; program: none",),
                    helps=(
                        f"`cnndsl train PROGRAM --weights {path.name}` begins a run with them",
                        f"in Python: `cnndsl.load(PROGRAM).load_weights({path.name!r})`",
                    ),
                )
            )
        try:
            choices = Choices(
                params=dict(json.loads(metadata.get("params", "{}"))),
                data=metadata.get("data.choice") or None,
                device=device,
                precision=precision,
                dtype=DType(metadata.get("dtype", "f32")),
            )
        except (ValueError, TypeError) as why:
            what = f"{path} does not say how its program was chosen"
            raise WeightsError(error("E0711", what, notes=(str(why),))) from None
        program = parse(metadata["program"], path.name)
        model = cls(program, choices=choices, base_dir=path.resolve().parent)
        model.load_weights(path)
        return model

    @property
    def state(self) -> State | None:
        """Weights by name; nothing before `fit`, `initialize` or `load_weights`.

        The arrays cannot be written to: give another array, or another state, to change weights.
        """
        return self._state

    @state.setter
    def state(self, state: Mapping[str, Array] | None) -> None:
        self._state = None if state is None else frozen(state)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def network(self) -> Network:
        """Layers with all sizes and counts worked out."""
        return self._elaboration.network

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What was decided that the program does not say."""
        return self._elaboration.notes

    def draw(self, *, style: Style = "graph", depth: int | None = None) -> str:
        """Give the picture of the network as SVG, as `cnndsl draw` does."""
        return to_svg(self.network, style=style, depth=depth)

    def _repr_html_(self) -> str:
        """Give what a notebook shows: the picture as solids, and the table folded away."""
        table = self.network._repr_html_()
        return (
            f'<div style="overflow-x:auto">{self.draw(style="blocks")}</div>'
            f"<details><summary>layers</summary>{table}</details>"
        )

    def compile(
        self, options: CompileOptions | None = None, *, training: bool = False
    ) -> Compilation:
        """Compile for inference, or the training step of the program's `train {}`.

        Every stage is kept in the result, to be looked at.
        """
        chosen = options or self.choices.options(CompileOptions().batch)
        if not training:
            return compile_network(self.network, chosen)
        settings = resolve(self._elaboration, self.choices, [])
        recipe = Training(
            settings.optimizer, settings.loss, settings.loss_options, clip=settings.clip
        )
        return compile_network(self.network, chosen, training=recipe)

    def initialize(self, *, seed: int = 0) -> None:
        """Draw fresh weights; the same seed draws the same."""
        self.state = initial_state(self._scorers.get(1).plan.graph, seed)

    def session(self, **choices: Any) -> Session:
        """Open the data and decide everything for a run; `choices` are fields of `Choices`."""
        return open_session(self.program, replace(self.choices, **choices), base_dir=self._base_dir)

    def fit(
        self,
        data: str | None = None,
        *,
        observe: Callable[[Event], None] = lambda event: None,
        folder: str | Path | None = None,
        **choices: Any,
    ) -> FitResult:
        """Train as the program says, and take the weights of the best epoch.

        `data` names a data set or a folder of images; `choices` are further fields of `Choices`
        (epochs, batch, rate, seed, patience, limit, ...). With `folder`, a run folder is made
        in it; else nothing is written. Training begins from `load_weights`, if there was one.
        """
        session = self.session(**({"data": data} if data else {}), **choices)
        run = None
        if folder is not None:
            run = RunFolder.claim(Path(folder), session.network.name)
            run.describe(self.program.source.text, session.record())
        trainer = session.trainer(state=self.state, observe=observe, folder=run)
        progress = trainer.fit()
        self._adopt(session, trainer.best or trainer.state)
        assert self.state is not None
        test = None
        if session.data.test is not None:
            test = session.evaluate(self.state).report()
        return FitResult(tuple(progress.rows), progress.best_epoch, test)

    def _adopt(self, session: Session, state: State) -> None:
        """Take weights, and the network and data that belong to them, from a session.

        How the session was trained (epochs, rate, a limit on images, ...) is not kept: it says
        nothing about what is measured or predicted next.
        """
        self._elaboration = session.elaboration
        chosen = session.choices
        names = ("data", "data_dir", "device", "dtype", "precision")
        self.choices = replace(self.choices, **{name: getattr(chosen, name) for name in names})
        self._scorers = Scorers(self.network, self.choices)
        self.state = {name: state[name] for name in self._scorers.get(1).parameters}

    def evaluate(
        self, data: str | None = None, *, split: str = "test", **choices: Any
    ) -> dict[str, float]:
        """Measure the weights: loss, accuracy and top-k on a split of a data set."""
        session = self.session(**({"data": data} if data else {}), **choices)
        return session.evaluate(self._weights(), split).report()

    def predict(self, images: npt.ArrayLike) -> Array:
        """Give the network's output for images [N, H, W, C] or one image [H, W, C].

        uint8 images (0 to 255) are prepared as the program's data is: scaled, sized, normalised.
        Floats are taken as they are, in the network's own size. Gives [N, scores], or [scores]
        for one image. Raises `DiagnosticError` for arrays that do not fit.
        """
        batch, single = self._batch_of(images)
        executable = self._scorers.with_weights(max(1, len(batch)), self._weights())
        if len(batch) == 0:
            kind = next(iter(executable.outputs.values()))
            return np.empty((0, *kind.shape[1:]), kind.dtype.numpy)
        outputs = executable.run({self.network.inputs[0].name: batch})
        result = next(iter(outputs.values()))
        return np.asarray(result[0] if single else result)

    def look(self, image: Array, *names: str) -> dict[str, Array]:
        """Give what layers and inputs of these names hold for one image [H, W, C].

        Arrays of the named layers' parameters come along as "LAYER.NAME". Everything is computed by
        the reference rules, node by node; images [C, H, W]. Raises `DiagnosticError` for an image
        that does not fit or a model without weights.
        """
        batch, _ = self._batch_of(np.asarray(image))
        known = {name for name in names if any(name == s.name for s in self.network.inputs)}
        wanted = {name: name for name in names if name not in known}
        graph = lower(replace(self.network, outputs=wanted), batch=1, dtype=self.choices.dtype)
        state = self._weights()
        feeds = {**state, self.network.inputs[0].name: batch[:1]}
        found = {name: array[0] for name, array in evaluate(graph, feeds).items()}
        found |= dict.fromkeys(known, batch[0])
        nodes = node_names(self.network)
        for layer in self.network.layers:
            if layer.name in wanted:
                owner = nodes[layer.parameters_of or layer.name]
                for spec in layer.parameters:
                    found[f"{layer.name}.{spec.name}"] = state[f"{owner}.{spec.name}"]
        return found

    def _batch_of(self, given: npt.ArrayLike) -> tuple[Array, bool]:
        """Give images as the network takes them, and whether there was one without a batch."""
        size = self.network.inputs[0].size
        try:
            images = host_array(given)
        except ForeignError as why:
            raise self._misfit(f"an array that {why}") from None
        except ValueError:
            raise self._misfit("rows of different lengths") from None
        what = f"an array [{' x '.join(map(str, images.shape))}] of {images.dtype}"
        single = images.ndim == len(size)
        if images.dtype == np.uint8 and images.ndim in (3, 4):
            single = images.ndim == 3
            if images.shape[-1] not in (1, 3) or 0 in images.shape[-3:]:
                raise self._misfit(what)
            settings = resolve(self._elaboration, self.choices, [])
            spec = data_spec(self._elaboration, settings, self.choices, [])
            ready = prepare_images(images[None] if single else images, spec, size)
            return ready.astype(self.choices.dtype.numpy), single
        fits = images.shape[-len(size) :] == size and images.ndim in (len(size), len(size) + 1)
        if not fits or images.dtype.kind not in "fiub":
            raise self._misfit(what)
        batch = images[None] if single else images
        if batch.ndim == 4:
            batch = batch.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(batch, dtype=self.choices.dtype.numpy), single

    def _misfit(self, given: str) -> DiagnosticError:
        wanted = " x ".join(map(str, self.network.inputs[0].size))
        return DiagnosticError(
            error(
                "E0910",
                f"{self.name} takes images [{wanted}], one or a batch of them; given {given}",
                helps=(
                    "images [height x width x channels] of type uint8 may have any size, "
                    "in grey (1 channel) or colour (3)",
                ),
            )
        )

    def _weights(self) -> State:
        if self.state is None:
            raise DiagnosticError(
                error(
                    "E0713",
                    f"{self.name} has no weights yet",
                    helps=(
                        "`fit` trains them, `load_weights` reads them, `initialize` draws them",
                    ),
                )
            )
        return self.state

    def save(self, path: str | Path) -> None:
        """Write weights and program to a safetensors file, whole or not at all."""
        metadata = describe_weights(self.program, self.network, self.choices)
        save_state(Path(path), self._weights(), metadata)

    def load_weights(self, path: str | Path) -> None:
        """Read weights, all or nothing; raises `WeightsError` that lists every mismatch."""
        found, _ = load_state(Path(path))
        parameters = self._scorers.get(1).parameters
        wanted = {name: (kind.shape, kind.dtype.numpy) for name, kind in parameters.items()}
        check_fit(found, wanted, name=str(path))
        self.state = found


def load(
    name: str | Path,
    *,
    params: Mapping[str, str | int | float | bool] | None = None,
    device: str = "cpu",
    precision: Precision = "fast",
) -> Model:
    """Read a program by file or zoo name, or a weights file with its program: `Model.load`."""
    return Model.load(name, params=params, device=device, precision=precision)


def compile_text(
    text: str,
    *,
    params: Mapping[str, str | int | float | bool] | None = None,
    device: str = "cpu",
    precision: Precision = "fast",
    options: CompileOptions | None = None,
) -> Compilation:
    """Compile a program given as text, for inference; every stage is kept in the result."""
    model = Model.from_text(text, params=params, device=device, precision=precision)
    return model.compile(options)
