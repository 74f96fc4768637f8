"""Which libraries there are on a device, and the ways that were chosen among theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.base import Measurement
from cnndsl.backends.cuda import choices as kept
from cnndsl.backends.cuda.choices import OWN, SUFFIX, Choices, Site, question
from cnndsl.backends.cuda.driver import Driver
from cnndsl.backends.cuda.kernel import Kernel, Key
from cnndsl.backends.cuda.program import key_of
from cnndsl.backends.cuda.providers import cublaslt, cudnn
from cnndsl.backends.cuda.providers.base import Provider, Rules
from cnndsl.backends.cuda.tuning import tune
from cnndsl.ir.graph import NodeId
from cnndsl.plan.plan import Plan
from cnndsl.support.diagnostics import BackendError


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries on a device."""

    providers: tuple[Provider, ...] = ()
    """Those that can be used."""
    missing: tuple[str, ...] = ()
    """What keeps each of the others from being used, in words."""

    def site(self, driver: Driver) -> Site:
        """Say where choices among them hold."""
        versions = tuple(provider.version for provider in self.providers)
        return Site(driver.name, driver.identity, versions)

    def chosen(self, keys: Iterable[Key], rules: Rules, choices: Choices) -> dict[Key, Kernel]:
        """Give the kernels of steps for which a library's way was chosen.

        A way that the library no longer has is left out: our own kernel is taken.
        """
        found: dict[Key, Kernel] = {}
        for key in dict.fromkeys(keys):
            choice = choices.get(question(key, rules))
            if choice is None or choice.way == OWN:
                continue
            for provider in self.providers:
                if choice.way.partition(" ")[0] != provider.name:
                    continue
                for way in provider.ways(key, rules, choice.way):
                    found[key] = way.kernel
        return found


NONE = Libraries()

LIBRARIES: Sequence[tuple[str, Callable[[], str | None], Callable[[], Provider]]] = (
    ("cudnn", cudnn.unavailable, cudnn.Cudnn.here),
    ("cublaslt", cublaslt.unavailable, cublaslt.Cublas.here),
)
"""Name of a library, why it cannot be used here, and how it is begun on the present device."""


class Tuner:
    """What a backend knows of libraries: how to begin them, and where choices are kept."""

    def __init__(self, libraries: Callable[[Driver], Libraries], folder: Path | None) -> None:
        """Begin `libraries` on a device when they are asked for; keep choices in `folder`."""
        self._libraries = libraries
        self._folder = folder

    def _on(self, driver: Driver) -> tuple[Libraries, Choices]:
        found = self._libraries(driver)
        return found, Choices(self._folder, found.site(driver))

    def _any(self) -> bool:
        """Tell whether there is any choice; where there is none, no library needs to begin."""
        return bool(kept.shipped()) or (
            self._folder is not None and any(self._folder.glob(f"*{SUFFIX}"))
        )

    def chosen(self, plan: Plan, driver: Driver, rules: Rules) -> dict[Key, Kernel]:
        """Give the kernels of a plan's steps for which a library was chosen."""
        if not self._any():
            return {}
        found, choices = self._on(driver)
        with driver.here():
            return found.chosen(map(key_of, (*plan.prepare, *plan.steps)), rules, choices)

    def tuned(self, plan: Plan, driver: Driver, rules: Rules) -> frozenset[NodeId]:
        """Name the nodes whose way was chosen by measurement."""
        if not self._any():
            return frozenset()
        found, choices = self._on(driver)
        steps = (*plan.prepare, *plan.steps) if found.providers else ()
        asked = ((step.node.id, question(key_of(step), rules)) for step in steps)
        return frozenset(name for name, words in asked if choices.get(words) is not None)

    def tune(
        self, plan: Plan, driver: Driver, rules: Rules, *, backend: str
    ) -> Iterator[Measurement]:
        """Time the ways of a plan's steps and keep the fastest, one step at a time.

        Raises `BackendError` where there is no library, or nothing can be kept.
        """
        found, choices = self._on(driver)
        if not found.providers:
            why = "".join(f"\nhelp: {words}" for words in found.missing)
            raise BackendError(f"the backend {backend} has no library to measure beside it{why}")
        if self._folder is None:
            raise BackendError("what is measured cannot be kept: CNNDSL_KERNELS is off")
        return self._measured(plan, driver, rules, found, choices)

    @staticmethod
    def _measured(
        plan: Plan, driver: Driver, rules: Rules, found: Libraries, choices: Choices
    ) -> Iterator[Measurement]:
        with driver.here():
            yield from tune(plan, driver, found.providers, rules, choices)


def find_libraries(driver: Driver) -> Libraries:
    """Begin the libraries that can be used on a device."""
    found: list[Provider] = []
    missing: dict[str, str] = {}
    with driver.here():
        for name, unavailable, begin in LIBRARIES:
            reason = unavailable()
            if reason is None:
                try:
                    found.append(begin())
                except BackendError as error:
                    reason = str(error)
            if reason is not None:
                missing[name] = reason
    return Libraries(tuple(found), _sentences(missing))


def _sentences(missing: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}: {reason}" for name, reason in missing.items())
