"""From the steps of a plan to kernels in memory; each distinct kernel is compiled once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.cpu import kernels as kernels
from cnndsl.backends.cpu.jit import Library, compile_object, llvm_version
from cnndsl.backends.cpu.kernel import Kernel, KernelBuilder, Key
from cnndsl.backends.cpu.objects import ObjectStore, object_key
from cnndsl.backends.cpu.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cpu.processes import compile_all
from cnndsl.backends.cpu.table import kernels as rules
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.plan.plan import Slot, Step


@dataclass(frozen=True, slots=True)
class Code:
    """A kernel in memory."""

    kernel: Kernel
    """What was written."""
    addresses: tuple[int, ...]
    """Of its phases."""


def key_of(step: Step) -> Key:
    """Give what the code of a step depends on."""
    aliased = any(_overlap(operand, result) for operand in step.operands for result in step.results)
    return Key(
        step.node.op,
        step.node.attrs,
        tuple(slot.type for slot in step.operands),
        tuple(slot.type for slot in step.results),
        aliased,
    )


def _overlap(a: Slot, b: Slot) -> bool:
    return a.arena is b.arena and a.offset < b.end and b.offset < a.end


def write_kernel(
    step: Step, key: Key, target: CpuTarget, policy: Policy = DEFAULT_POLICY
) -> Kernel:
    """Write the kernel of a step; its functions are named after what they do to the bit."""
    builder = KernelBuilder(step.node, key, target, policy)
    rules[key.op](builder, step.node)
    kernel = builder.finish()
    name = "k" + hashlib.sha256(kernel.text.encode()).hexdigest()[:24]
    return replace(
        kernel,
        text=kernel.text.replace("@kernel_", f"@{name}_"),
        phases=tuple(
            replace(phase, name=phase.name.replace("kernel_", f"{name}_"))
            for phase in kernel.phases
        ),
    )


class KernelSet:
    """The kernels of a program, compiled and linked together."""

    def __init__(
        self,
        steps: Iterable[Step],
        target: CpuTarget,
        policy: Policy = DEFAULT_POLICY,
        store: ObjectStore | None = None,
        *,
        processes: int = 1,
    ) -> None:
        """Write, compile and link what `steps` need; `store` keeps what was compiled.

        Where much is missing, up to `processes` processes compile it.
        """
        self.target = target
        """What the code is for."""
        self._policy = policy
        self._kernels: dict[tuple[Key, str | None], Kernel] = {}
        texts: dict[str, str] = {}
        names: list[str] = []
        for step in steps:
            key = self._key(step)
            if key in self._kernels:
                continue
            kernel = write_kernel(step, key[0], target, policy)
            self._kernels[key] = kernel
            if kernel.phases and kernel.phases[0].name not in texts:
                texts[kernel.phases[0].name] = kernel.text
                names.extend(phase.name for phase in kernel.phases)
        self._library: Library | None = None
        if texts:
            found = images(list(texts.values()), target, store, processes=processes)
            self._library = Library(found, names)

    def _key(self, step: Step) -> tuple[Key, str | None]:
        """Give what the kernel of a step depends on, and the algorithm asked for by its name."""
        node = step.node
        return key_of(step), self._policy.wanted(node.id, node.op.name)

    def code(self, step: Step) -> Code:
        """Give the code of a step."""
        kernel = self._kernels[self._key(step)]
        assert self._library is not None or not kernel.phases, "what has phases was linked"
        found = [self._library.address(phase.name) for phase in kernel.phases if self._library]
        return Code(kernel, tuple(found))

    def kernel(self, step: Step) -> Kernel:
        """Give the kernel of a step."""
        return self._kernels[self._key(step)]


def images(
    texts: Sequence[str], target: CpuTarget, store: ObjectStore | None, *, processes: int = 1
) -> list[bytes]:
    """Give the object code of modules, from the store where it is there.

    What is missing is compiled by up to `processes` processes, and kept.
    """
    if store is None:
        return [compile_object(text, target) for text in texts]
    version = llvm_version()
    keys = [object_key(text, target, version) for text in texts]
    found = [store.get(key) for key in keys]
    missing = [index for index, image in enumerate(found) if image is None]

    def keep(number: int, image: bytes) -> None:
        index = missing[number]
        found[index] = image
        store.write(keys[index], image)

    if missing:
        wanted = [texts[index] for index in missing]
        compile_all(wanted, target, most=processes, keep=keep)
        store.prune()
    return [image for image in found if image is not None]
