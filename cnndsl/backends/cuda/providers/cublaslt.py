"""cuBLASLt as a provider of products: dense layers, `matmul`, and convolutions of single pixels.

Nothing here was run on a GPU yet: descriptions are made by the real library, calls are held to a
stand-in that computes.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.cuda.kernel import Key
from cnndsl.backends.cuda.providers.base import Offer, Rules, Way, fused_way, split_way
from cnndsl.backends.cuda.providers.cublaslt_api import (
    BF16,
    BFLOAT,
    BIAS,
    F16,
    FLOAT,
    FULL,
    HALF,
    PLAIN,
    RELU,
    TF32,
    CublasLt,
    Heuristic,
    Matrix,
    find,
)
from cnndsl.backends.cuda.providers.problem import NOTHING, Product, Tail, can_follow, product_of
from cnndsl.support.diagnostics import BackendError

MOST_PLANS = 4
"""Algorithms of one product that are offered."""
_COMPUTE = {"fp32": FULL, "tf32": TF32, "bf16": BF16, "fp16": F16}
"""How singles are multiplied, by precision."""
_TYPES = {"float": FLOAT, "bf16": BFLOAT, "f16": HALF}
"""C++ types of elements in the library's numbers."""


def unavailable() -> str | None:
    """Say why the library cannot be used here, or nothing if it can."""
    if find() is None:
        return "cuBLASLt is not installed; pip install 'cnndsl[cudnn]'"
    return None


@dataclass(frozen=True, slots=True)
class Described:
    """A product as the library knows it: the transpose of ours, factors changed round."""

    product: ctypes.c_void_p
    """The description."""
    first: ctypes.c_void_p
    """Of the library's first factor, our b."""
    second: ctypes.c_void_p
    """Of the library's second factor, our a."""
    result: ctypes.c_void_p
    """Of the result."""


class Cublas:
    """The library on one device; its calls come one at a time."""

    def __init__(self, library: CublasLt) -> None:
        """Use a library with a handle."""
        self._library = library
        self._lock = threading.Lock()

    @classmethod
    def here(cls) -> Cublas:
        """Make one for the present device; raises `BackendError` with the library's status."""
        place = find()
        if place is None:
            raise BackendError("cuBLASLt is not installed")
        try:
            return cls(CublasLt(ctypes.CDLL(place)))
        except OSError as error:
            raise BackendError(f"cuBLASLt cannot be loaded: {error}") from None

    @property
    def name(self) -> str:
        """Say which library."""
        return "cublaslt"

    @property
    def version(self) -> str:
        """Give the version."""
        return f"cublaslt {self._library.version()}"

    def ways(self, key: Key, rules: Rules, wanted: str | None = None) -> Iterator[Way]:
        """Give the whole region, then the product with our tail."""
        product = product_of(key, rounded=rules.rounded, half=rules.policy.half)
        if product is None or not can_follow(key):
            return
        forms = [product] if product.tail == NOTHING else [product, replace(product, tail=NOTHING)]
        for form in forms:
            for way in self._ways(key, form, rules):
                if wanted is None or way.name == wanted:
                    yield way

    def _ways(self, key: Key, product: Product, rules: Rules) -> Iterator[Way]:
        try:
            whole = product.memory.factors == "float"
            told = self._describe(product, _COMPUTE[rules.policy.precision] if whole else FULL)
            found = self._library.heuristics(
                told.product,
                told.first,
                told.second,
                told.result,
                most=MOST_PLANS,
                workspace=rules.most_workspace,
            )
        except BackendError:
            return
        for one in found:
            words = ",".join(str(word) for word in one.algorithm.data)
            label = hashlib.sha256(words.encode()).hexdigest()[:8]
            queued = _Queued(self, product, told, one)
            made = product.memory.result
            offer = Offer(label, queued, int(one.workspace), f"// {product}", made)
            if product.tail == NOTHING:
                yield split_way(key, self.name, offer, rules.policy)
            else:
                yield fused_way(key, self.name, product.tail, offer, rules.policy)

    def _describe(self, p: Product, compute: int) -> Described:
        """Describe the transpose: n x m, of b's transpose times a's."""
        library = self._library
        b = (p.k, p.n) if p.turned_b else (p.n, p.k)
        a = (p.m, p.k) if p.turned_a else (p.k, p.m)
        kind, made = _TYPES[p.memory.factors], _TYPES[p.memory.result]
        return Described(
            library.product(
                compute, turned_a=p.turned_b, turned_b=p.turned_a, epilogue=epilogue(p.tail)
            ),
            library.matrix(Matrix(*b, p.batch, p.n * p.k, kind)),
            library.matrix(Matrix(*a, p.batch, 0 if p.fixed_a else p.m * p.k, kind)),
            library.matrix(Matrix(p.n, p.m, p.batch, p.m * p.n, made)),
        )

    def execute(
        self,
        product: Product,
        told: Described,
        one: Heuristic,
        addresses: Sequence[int],
        stream: int | None,
    ) -> None:
        """Queue a product: factors, bias and addend as the tail has them, result, workspace."""
        rest = list(addresses)
        first, second = rest.pop(0), rest.pop(0)
        a, b = (second, first) if product.swapped else (first, second)
        with self._lock:
            if product.tail.bias:
                self._library.set_bias(told.product, rest.pop(0))
            added = rest.pop(0) if product.tail.add else None
            result = rest.pop(0)
            workspace = (rest[0], int(one.workspace)) if rest else (0, 0)
            self._library.multiply(
                told.product,
                ((b, told.first), (a, told.second)),
                added,
                (result, told.result),
                one.algorithm,
                workspace,
                stream or 0,
            )


def epilogue(tail: Tail) -> int:
    """Give the library's number for a tail; what is added is the product's third matrix.

    >>> epilogue(NOTHING), epilogue(Tail(bias=True)), epilogue(Tail(bias=True, relu=True))
    (1, 4, 6)
    """
    return RELU * tail.relu + BIAS * tail.bias or PLAIN


@dataclass(frozen=True, slots=True)
class _Queued:
    """An algorithm that can be queued."""

    library: Cublas
    product: Product
    told: Described
    one: Heuristic

    def __call__(self, addresses: Sequence[int], stream: int | None) -> None:
        """Queue it; raises `BackendError` with the library's status."""
        self.library.execute(self.product, self.told, self.one, addresses, stream)
