"""The search itself: draw variants, train them, keep the better ones.

Everything follows from the program, the data and the seed. What is done is in the folder, so that a
search that was stopped goes on where it was: variants are drawn again, trainings that are done are
read, and one that was stopped in the middle goes on from its last checkpoint.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cnndsl.frontend import ast
from cnndsl.frontend.variants import Family, described, plain
from cnndsl.layers.analysis import analyse
from cnndsl.search.folder import SearchFolder
from cnndsl.search.strategy import Round, Strategy, rounds
from cnndsl.search.trial import Trial, ranked
from cnndsl.session import Choices, Session, open_session
from cnndsl.support.diagnostics import DiagnosticError, DivergedError, error
from cnndsl.train.checkpoint import load_state
from cnndsl.train.loop import load_checkpoint
from cnndsl.train.runs import RunFolder

TRIES = 50
"""How many draws for each variant that is wanted, before it is said that none fits."""

Settings = Mapping[str, bool | int | float | str]
"""Values of a variant, as a session takes them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a search."""

    budget: int
    """How many variants are tried."""
    strategy: Strategy = "random"
    """How trainings are spent on them."""
    epochs: int = 3
    """For how long the best are trained."""
    seed: int = 0
    """Where draws, weights and the order of images come from."""
    max_params: int | None = None
    """The most parameters that a variant may have."""
    max_macs: int | None = None
    """The most multiply-adds."""

    def record(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that fits its data and the limits."""

    number: int
    """From 1."""
    settings: Settings
    """Its values."""
    session: Session
    """Ready to be trained."""


@dataclass(slots=True)
class Search:
    """One search."""

    program: ast.Program
    """What is searched."""
    family: Family
    """What it leaves open."""
    choices: Choices
    """Data, batch, device and what else a session is told; epochs and seed come from the plan."""
    plan: Plan
    """How much is tried."""
    base_dir: Path | None = None
    """The program's folder."""
    observe: Callable[[Trial], None] = lambda trial: None
    """Is told of every training that is done."""
    stop: Callable[[], bool] = lambda: False
    """Is asked after every step."""
    rejected: int = field(default=0, init=False)
    """Draws that did not fit, or were too large."""

    def run(self, folder: SearchFolder, field_: list[Candidate]) -> list[Trial]:
        """Train what the plan says, and give the trials, the best first; all is kept in `folder`.

        The best is measured on the test images at the end. Raises `StoppedError` when told to stop.
        """
        done = folder.read()
        for each in rounds(self.plan.strategy, budget=len(field_), epochs=self.plan.epochs):
            field_ = self._best(field_, done, each)
            for candidate in field_:
                if _find(done, candidate.number, each.epochs) is None:
                    trial = self._train(candidate, each.epochs, folder.run(candidate.number))
                    done.append(trial)
                    folder.add(done)
                    self.observe(trial)
        best = ranked(done)[0]
        if best.test is None and best.accuracy is not None:
            index = done.index(best)
            best = replace(best, test=self._test(field_, best, folder))
            done[index] = best
            folder.add(done)
        return ranked(done)

    def candidates(self) -> list[Candidate]:
        """Draw different variants that fit; fewer than the budget if there are no more.

        Raises `DiagnosticError` E0925 with the last complaint when none fits.
        """
        found: list[Candidate] = []
        seen: set[str] = set()
        complaint: DiagnosticError | None = None
        for variant in self._draws():
            name = described(variant)
            if name in seen:
                continue
            seen.add(name)
            settings = {key: plain(value) for key, value in variant.items()}
            try:
                session = self._open(settings, found[-1].session if found else None)
            except DiagnosticError as problem:
                self.rejected += 1
                complaint = problem
                continue
            counts = analyse(session.network)
            if not self._within(counts.params, counts.macs):
                self.rejected += 1
                continue
            found.append(Candidate(len(found) + 1, settings, session))
            if len(found) == self.plan.budget:
                break
        if not found:
            raise self._none_fits(complaint)
        return found

    def record(self, field_: list[Candidate]) -> dict[str, Any]:
        """Give every decision as JSON values, for `resolved.json`."""
        plain_record = field_[0].session.record()
        choices = plain_record["choices"]
        assert isinstance(choices, dict)
        fixed = {name: plain(value) for name, value in self.choices.params.items()}
        return {
            **plain_record,
            "choices": {**choices, "params": fixed},
            "plan": self.plan.record(),
            "variants": [dict(candidate.settings) for candidate in field_],
        }

    def _draws(self) -> Iterator[Mapping[str, Any]]:
        """Give every variant if there are few, else draws; the order follows from the seed."""
        rng = random.Random(self.plan.seed)
        count = self.family.count()
        most = TRIES * self.plan.budget
        if count.exact and count.variants <= most:
            everything = list(self.family.variants())
            rng.shuffle(everything)
            yield from everything
            return
        for _ in range(most):
            yield self.family.draw(rng)

    def _open(self, settings: Settings, like: Session | None) -> Session:
        params = {**self.choices.params, **settings}
        choices = replace(self.choices, params=params, seed=self.plan.seed, epochs=self.plan.epochs)
        return open_session(self.program, choices, base_dir=self.base_dir, like=like)

    def _within(self, params: int, macs: int) -> bool:
        plan = self.plan
        return (plan.max_params is None or params <= plan.max_params) and (
            plan.max_macs is None or macs <= plan.max_macs
        )

    def _none_fits(self, complaint: DiagnosticError | None) -> DiagnosticError:
        notes = ("the last one: " + complaint.diagnostics[0].message,) if complaint else ()
        limited = self.plan.max_params is not None or self.plan.max_macs is not None
        return DiagnosticError(
            error(
                "E0925",
                f"none of {self.rejected} variants of `{Path(self.program.source.name).stem}` "
                f"fits{' its data and the limits' if limited else ' its data'}",
                notes=notes,
                helps=("choose some values with -p, or other --data",),
            )
        )

    def _best(self, field_: list[Candidate], done: list[Trial], each: Round) -> list[Candidate]:
        """Give those that go on: the best of the round before."""
        if each.variants >= len(field_):
            return field_
        numbers = {candidate.number for candidate in field_}
        order = [trial.number for trial in ranked(done) if trial.number in numbers]
        kept = set(order[: each.variants])
        return [candidate for candidate in field_ if candidate.number in kept]

    def _train(self, candidate: Candidate, epochs: int, folder: RunFolder) -> Trial:
        """Train a variant up to an epoch, on from where it was."""
        began = time.perf_counter()
        session = candidate.session
        session = replace(session, settings=replace(session.settings, epochs=epochs))
        if not folder.program.exists():
            folder.describe(self.program.source.text, session.record())
        known = load_checkpoint(folder) if folder.last.exists() else None
        trainer = session.trainer(
            state=known[0] if known else None,
            progress=known[1] if known else None,
            folder=folder,
            stop=self.stop,
        )
        try:
            progress = trainer.fit()
            accuracy: float | None = max(float(row["val_accuracy"]) for row in progress.rows)
        except DivergedError:
            accuracy = None
        counts = analyse(session.network)
        return Trial(
            candidate.number,
            candidate.settings,
            epochs,
            accuracy,
            counts.params,
            counts.macs,
            len(session.network.layers),
            round(time.perf_counter() - began, 3),
        )

    def _test(self, field_: list[Candidate], best: Trial, folder: SearchFolder) -> float | None:
        """Measure the best variant's best weights on the test images, if there are any."""
        session = next(c.session for c in field_ if c.number == best.number)
        if session.data.test is None:
            return None
        state, _ = load_state(folder.run(best.number).best)
        return float(session.evaluate(state).accuracy)


def _find(trials: list[Trial], number: int, epochs: int) -> Trial | None:
    for trial in trials:
        if trial.number == number and trial.epochs == epochs:
            return trial
    return None
