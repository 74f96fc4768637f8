"""Elementwise steps on arrays of any sizes, joined into one launch that finds them in a table.

Steps on the same elements that follow one another become a chain: what one makes and the next
reads stays in a register, as the momentum does that moves a weight. Chains that neither read nor
write what another one writes are a wave, and a wave is one launch: each block looks up which chain
it belongs to, and where the arrays of that one are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cnndsl.backends.cuda.kernel import stored
from cnndsl.ir.types import DType
from cnndsl.ops.fused import FusedElementwiseAttrs
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.unary import cast, identity
from cnndsl.plan.plan import Step

MOST_PARTS, MOST_ARRAYS = 8, 20
"""Steps and arrays of a chain."""


@dataclass(frozen=True, slots=True)
class Update:
    """One step at its addresses."""

    step: Step
    """What is computed."""
    operands: tuple[int, ...]
    """Addresses of the operands."""
    result: int
    """Address of the result."""
    half: str | None = None
    """Element type of two bytes that the result may have in memory."""
    kept: bool = True
    """Whether the result is needed when all updates are done."""

    @property
    def program(self) -> ScalarProgram:
        """What is done to each element."""
        node = self.step.node
        if isinstance(node.attrs, FusedElementwiseAttrs):
            return node.attrs.program
        count = len(self.operands)
        same = node.op is cast
        op, attrs = (identity, identity.attrs()) if same else (node.op, node.attrs)
        return ScalarProgram(count, (ScalarStep(op, attrs, tuple(range(count))),))

    @property
    def single(self) -> tuple[bool, ...] | None:
        """Tell which operands are single numbers; nothing if one is broadcast in another way."""
        result = self.step.results[0].type
        found = []
        for slot in self.step.operands:
            if slot.type != result and slot.type.size != 1:
                return None
            found.append(slot.type != result)
        return tuple(found)

    @property
    def joins(self) -> bool:
        """Whether it can be a part of a chain."""
        return self.single is not None and self.size > 0 and self.dtype is not DType.BOOL

    @property
    def kind(self) -> str:
        """C++ type of the result's elements in memory."""
        slot = self.step.results[0]
        return stored(slot.type, self.half if slot.element_bytes else None)

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.step.results[0].type.dtype

    @property
    def size(self) -> int:
        """Elements of the result."""
        return self.step.results[0].type.size


@dataclass(slots=True, eq=False)
class Chain:
    """Updates of the same elements, one after another."""

    parts: list[tuple[int, Update]]
    """With their numbers, by which they are in order."""
    wave: int
    """All that it depends on is in waves before."""
    dependents: bool = False
    """Whether another chain depends on it."""
    home: Chain | None = None
    """The chain that it became a part of."""
    inner: set[int] = field(default_factory=set)
    """Addresses of results that nothing reads but later parts: these need no memory."""

    @property
    def updates(self) -> list[Update]:
        """In order."""
        return [update for _, update in self.parts]

    def found(self) -> Chain:
        """Give the chain that it is a part of by now."""
        chain = self
        while chain.home is not None:
            chain = chain.home
        return chain

    def takes(self, update: Update) -> bool:
        """Tell whether an update of the same elements could be a part."""
        first = self.updates[0]
        return first.joins and update.joins and first.size == update.size

    @property
    def arrays(self) -> set[int]:
        """Addresses."""
        return {a for u in self.updates for a in (*u.operands, u.result)}


@dataclass(slots=True)
class _Users:
    """Who wrote and who read the memory at an address."""

    writer: Chain | None = None
    readers: dict[Chain, bool] = field(default_factory=dict)
    """And whether element by element."""


def waves(updates: Iterable[Update]) -> list[list[Chain]]:
    """Sort updates into chains, and these into waves: those of a wave do not meet."""
    users: dict[int, _Users] = {}
    chains: list[Chain] = []
    for number, update in enumerate(updates):
        needs = _needs(update, users)
        chain = _placed(number, update, needs)
        chains.append(chain)
        chain = chain.found()
        for other in needs:
            if other.found() is not chain:
                other.found().dependents = True
        singles = update.single or (True,) * len(update.operands)
        for address, single in zip(update.operands, singles, strict=True):
            readers = users.setdefault(address, _Users()).readers
            readers[chain] = readers.get(chain, True) and not single
        users[update.result] = _Users(chain)
    for address, user in users.items():
        home = user.writer.found() if user.writer is not None else None
        if home is not None and all(reader.found() is home for reader in user.readers):
            kept = any(u.kept for u in home.updates if u.result == address)
            home.inner |= set() if kept else {address}
    found: dict[int, dict[Chain, None]] = {}
    for chain in chains:
        home = chain.found()
        found.setdefault(home.wave, {})[home] = None
    return [list(found[wave]) for wave in sorted(found)]


def _needs(update: Update, users: dict[int, _Users]) -> dict[Chain, bool]:
    """Give the chains that come before an update, and whether it meets them element by element."""
    found: dict[Chain, bool] = {}

    def need(chain: Chain | None, *, aligned: bool) -> None:
        if chain is not None:
            home = chain.found()
            found[home] = found.get(home, True) and aligned and home.takes(update)

    singles = update.single or (True,) * len(update.operands)
    for address, single in zip(update.operands, singles, strict=True):
        need(users.get(address, _Users()).writer, aligned=not single)
    here = users.get(update.result, _Users())
    need(here.writer, aligned=True)
    for chain, aligned in here.readers.items():
        need(chain, aligned=aligned)
    return found


def _placed(number: int, update: Update, needs: dict[Chain, bool]) -> Chain:
    """Put an update into the chains that it follows, joined, or into one of its own."""
    near = [chain for chain, aligned in needs.items() if aligned]
    apart = max((chain.wave for chain, aligned in needs.items() if not aligned), default=-1) + 1
    if near:
        wave = max(apart, *(chain.wave for chain in near))
        # A chain may come later where nobody waits for it.
        movable = all(chain.wave == wave or not chain.dependents for chain in near)
        parts = [part for chain in near for part in chain.parts] + [(number, update)]
        joined = Chain(sorted(parts, key=lambda part: part[0]), wave)
        joined.dependents = any(chain.dependents for chain in near)
        if movable and len(parts) <= MOST_PARTS and len(joined.arrays) <= MOST_ARRAYS:
            for chain in near:
                chain.home = joined
            return joined
    last = max((chain.wave for chain in needs), default=-1)
    return Chain([(number, update)], last + 1)


def in_order(wave: Sequence[Chain]) -> tuple[list[Chain], list[Update]]:
    """Give the chains of a wave that one launch can do, and the updates that need their own."""
    chains = [chain for chain in wave if chain.updates[0].joins]
    alone = [u for chain in wave if not chain.updates[0].joins for u in chain.updates]
    return chains, alone
