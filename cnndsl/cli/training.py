"""Training on the command line: bars on a terminal, a line an epoch in a log, JSON lines."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.console import emit_json, err, is_terminal
from cnndsl.runtime.executable import State
from cnndsl.session import Session
from cnndsl.support.diagnostics import StoppedError
from cnndsl.train.loop import EpochDone, Event, StepDone, weights_only
from cnndsl.train.progress import Progress
from cnndsl.train.runs import RunFolder

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@dataclass(slots=True)
class Stop:
    """Turns the first Ctrl-C (or SIGTERM) into a wish to stop after the step; the second ends."""

    wanted: bool = False
    """Whether to stop."""

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.wanted

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
        click.echo("stopping after this step; Ctrl-C again ends at once", err=True)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the body runs."""
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._asked) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(slots=True)
class Display:
    """Shows the events of a training."""

    as_json: bool
    """Whether JSON lines go to stdout."""
    folder: RunFolder
    """Whose log gets every line."""
    bars: Bars | None = None
    """The bar of the current epoch, on a terminal."""
    task: TaskID | None = None
    """Its task."""
    width: int = field(default=2)
    """Columns of an epoch's number."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, EpochDone):
            self._epoch(event)
        else:
            self._step(event)

    def _step(self, event: StepDone) -> None:
        if self.bars is None:
            return
        if self.task is None:
            self.task = self.bars.add_task("", total=event.steps)
        text = f"epoch {event.epoch:>{self.width}}  loss {event.loss:.4f}"
        text += f"  accuracy {100 * event.accuracy:5.2f} %"
        self.bars.update(self.task, completed=event.step, description=text)

    def _epoch(self, event: EpochDone) -> None:
        if self.bars is not None and self.task is not None:
            self.bars.remove_task(self.task)
            self.task = None
        self.say(epoch_line(event, self.width))
        if self.as_json:
            emit_json({"event": "epoch", **event.row, "improved": event.improved})

    def say(self, line: str) -> None:
        """Show a line and keep it in the log."""
        self.folder.say(line)
        if self.bars is not None:
            self.bars.console.print(line, markup=False, highlight=False)
        else:
            click.echo(line, err=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep a bar moving on stderr while the body runs, if stderr is a terminal."""
        if not is_terminal(sys.stderr) or self.as_json:
            yield
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Bars(*columns, console=err(), transient=True, refresh_per_second=8) as bars:
            self.bars = bars
            try:
                yield
            finally:
                self.bars = None


def epoch_line(event: EpochDone, width: int) -> str:
    """Write one epoch in a line that fits 80 columns."""
    row = event.row
    return (
        f"epoch {row['epoch']:>{width}}/{event.epochs}"
        f"  loss {row['loss']:.4f}  accuracy {100 * row['accuracy']:5.2f} %"
        f"  val {row['val_loss']:.4f} {100 * row['val_accuracy']:6.2f} %"
        f"  {row['seconds']:.1f} s{' *' if event.improved else ''}"
    )


def perform(
    session: Session,
    folder: RunFolder,
    *,
    as_json: bool,
    state: State | None = None,
    progress: Progress | None = None,
    test: bool = True,
) -> None:
    """Train a session in its folder and measure the best weights; goes on from `state`.

    Raises what `Trainer.fit` raises; when the user stops it, says how to go on.
    """
    began = time.perf_counter()
    display = Display(as_json, folder, width=len(str(session.settings.epochs)))
    for line in opening(session):
        display.say(line)
    stop = Stop()
    trainer = session.trainer(
        state=state, progress=progress, folder=folder, observe=display, stop=stop
    )
    if as_json:
        emit_json({"event": "start", "run": str(folder.path), "program": session.network.name})
    try:
        with stop.listening(), display.live():
            trainer.fit()
    except StoppedError as stopped:
        display.say(f"{stopped}; everything is saved")
        display.say(f"`cnndsl train --resume {folder.path}` goes on from there")
        raise
    best = trainer.best if trainer.best is not None else _best_so_far(folder, trainer.state)
    closing(session, display, best, trainer.progress, began=began, test=test)


def _best_so_far(folder: RunFolder, state: State) -> State:
    """Give the best weights of a run that got no better since it was resumed."""
    from cnndsl.train.checkpoint import load_state

    return load_state(folder.best)[0] if folder.best.exists() else weights_only(state)


def opening(session: Session) -> list[str]:
    """Say what is going to be trained on what."""
    from cnndsl.layers.analysis import analyse

    data = session.data
    counts = [f"{len(data.train):,} training"]
    counts += [f"{len(data.val):,} validation"] if data.val is not None else []
    counts += [f"{len(data.test):,} test"] if data.test is not None else []
    size = "x".join(map(str, session.network.inputs[0].size))
    parameters = analyse(session.network).params
    lines = [
        f"{session.network.name}: [{size}], {len(session.network.layers)} layers, "
        f"{parameters:,} parameters",
        f"{data.name}: {', '.join(counts)} images, {len(data.classes)} classes",
    ]
    return lines + [f"note: {note}" for note in session.notes]


def closing(
    session: Session,
    display: Display,
    best: State,
    progress: Progress,
    *,
    began: float,
    test: bool,
) -> None:
    """Measure the best weights on the test images and say where everything is."""
    report: Mapping[str, Any] | None = None
    if test and session.data.test is not None:
        tally = session.evaluate(best)
        report = tally.report()
        display.say(
            f"test accuracy {100 * tally.accuracy:.2f} % ({tally.correct:,} of {tally.count:,}), "
            f"loss {tally.loss:.4f}, with the weights of epoch {progress.best_epoch}"
        )
    where = display.folder.path
    display.say(f"the run is in {where}; its weights are {where / 'best.safetensors'}")
    if display.as_json:
        seconds = round(time.perf_counter() - began, 3)
        emit_json({"event": "done", "test": report, "seconds": seconds, "run": str(where)})


def runs_root(path: Path | None) -> Path:
    """Give the folder in which run folders are made."""
    return path if path is not None else Path("runs")
