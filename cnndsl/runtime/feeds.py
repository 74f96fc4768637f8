"""Checks at the border: are these the arrays that the program takes?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import ForeignError, host_array
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.suggest import nearest

LISTED = 12
"""Most mismatches that one message lists; the rest are counted."""


def fit_arrays(
    code: str,
    given: Mapping[str, npt.ArrayLike],
    expected: Mapping[str, TensorType],
    *,
    what: str,
    program: str,
    optional: Collection[str] = (),
) -> dict[str, Array]:
    """Give the arrays of `given`, by the names that `expected` has; nothing is converted.

    `what` says what they are: "input", "parameter". Names in `optional` may be left out. Raises
    `DiagnosticError` with `code` that lists everything that is missing, unknown, of another
    shape or of other elements.
    """
    found: dict[str, Array] = {}
    wrong: list[str] = []
    for name, kind in expected.items():
        if name in given:
            array, complaint = _fit(name, given[name], kind, batched=what == "input")
            found[name] = array
            wrong.extend(complaint)
        elif name not in optional:
            wrong.append(f"{name} is missing; it is {describe(kind)}")
    for name in given:
        if name not in expected:
            close = nearest(str(name), expected)
            hint = f"; did you mean {close[0]}?" if close else ""
            wrong.append(f"{name} is no {what} of {program}{hint}")
    if wrong:
        raise unfit(code, wrong, expected, what=what, program=program)
    return found


def unfit(
    code: str, wrong: list[str], expected: Mapping[str, TensorType], *, what: str, program: str
) -> DiagnosticError:
    """Give the error that lists what is `wrong` with arrays, a sentence each."""
    return DiagnosticError(
        error(
            code,
            _sentence(wrong, what, program),
            notes=(_listing(wrong), _expectation(expected, what, program)),
        )
    )


def describe(kind: TensorType) -> str:
    """Say what an array of this type is.

    >>> from cnndsl.ir.types import f32
    >>> describe(f32(2, 3)), describe(f32())
    ('float32 of shape (2, 3)', 'one float32')
    """
    if not kind.shape:
        return f"one {kind.dtype.numpy.name}"
    return f"{kind.dtype.numpy.name} of shape {kind.shape}"


def _fit(
    name: str, given: npt.ArrayLike, kind: TensorType, *, batched: bool
) -> tuple[Array, list[str]]:
    try:
        array = host_array(given)
    except ForeignError as why:
        return np.empty(0), [f"{name} {why}"]
    except ValueError:
        return np.empty(0), [f"{name} is no array: its rows have different lengths"]
    if array.shape == kind.shape and array.dtype == kind.dtype.numpy:
        return array, []  # the usual case, without words: a run may take no longer than this check
    return array, misfits(name, array.shape, str(array.dtype), kind, batched=batched)


def misfits(
    name: str, shape: Shape, elements: str, kind: TensorType, *, batched: bool
) -> list[str]:
    """Say what keeps an array of this shape and these elements from being taken as `kind`."""
    wrong = []
    if shape != kind.shape:
        advice = _batch_advice(shape, kind.shape) if batched else ""
        wrong.append(f"{name} has shape {shape}; it takes {kind.shape}{advice}")
    if elements != kind.dtype.numpy.name:
        wrong.append(f"{name} holds {elements}; it takes {kind.dtype.numpy.name}")
    return wrong


def _batch_advice(given: Shape, wanted: Shape) -> str:
    """Say what is probably meant by a feed of another shape."""
    if len(given) == len(wanted) and given[1:] == wanted[1:]:
        return f": {wanted[0]} at once, not {given[0]}"
    if wanted and given == wanted[1:]:
        return ": the leading axis, which counts the items of the batch, is missing"
    if len(given) == 4 and (given[0], given[3], *given[1:3]) == wanted:
        return ": channels come before height and width"
    return ""


def _sentence(wrong: list[str], what: str, program: str) -> str:
    if len(wrong) == 1:
        return wrong[0]
    return f"{len(wrong)} things are wrong with the {what}s given to {program}"


def _listing(wrong: list[str]) -> str:
    shown = wrong[:LISTED]
    if len(wrong) > LISTED:
        shown.append(f"and {len(wrong) - LISTED} more")
    return "\n".join(shown)


def _expectation(expected: Mapping[str, TensorType], what: str, program: str) -> str:
    if not expected:
        return f"{program} has no {what}s"
    names = list(expected)[:LISTED]
    lines = [f"{name}: {describe(expected[name])}" for name in names]
    if len(expected) > LISTED:
        lines.append(f"and {len(expected) - LISTED} more")
    return "\n".join([f"{program} takes", *lines])
