from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.rules import Array
from cnndsl.runtime.feeds import describe, fit_arrays
from cnndsl.support.diagnostics import DiagnosticError

EXPECTED = {"image": f32(8, 3, 4, 5), "step": TensorType(DType.I64, ())}
IMAGE = np.zeros((8, 3, 4, 5), dtype=np.float32)


def fit(given: Mapping[str, npt.ArrayLike], *, what: str = "input") -> dict[str, Array]:
    return fit_arrays("E0910", given, EXPECTED, what=what, program="lenet")


def complaint(given: Mapping[str, npt.ArrayLike], *, what: str = "input") -> str:
    with pytest.raises(DiagnosticError) as caught:
        fit(given, what=what)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0910"
    assert "image: float32 of shape (8, 3, 4, 5)" in diagnostic.notes[1]
    return diagnostic.notes[0]


def test_arrays_that_fit_are_taken_as_they_are() -> None:
    found = fit({"step": 3, "image": IMAGE})
    assert list(found) == ["image", "step"]
    assert found["image"] is IMAGE
    assert found["step"].dtype == np.int64


def test_everything_wrong_is_listed_at_once() -> None:
    text = complaint({"image": IMAGE[:4].astype(np.float64), "imaeg": 1})
    assert text.split("\n") == [
        "image has shape (4, 3, 4, 5); it takes (8, 3, 4, 5): 8 at once, not 4",
        "image holds float64; it takes float32",
        "step is missing; it is one int64",
        "imaeg is no input of lenet; did you mean image?",
    ]


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (IMAGE[0], "the leading axis, which counts the items of the batch, is missing"),
        (IMAGE.transpose(0, 2, 3, 1), "channels come before height and width"),
    ],
)
def test_likely_mistakes_are_named(given: Array, advice: str) -> None:
    assert complaint({"image": given, "step": 1}).endswith(f": {advice}")


def test_parameters_have_no_batch_to_speak_of() -> None:
    text = complaint({"image": IMAGE[:4], "step": 1}, what="parameter")
    assert text == "image has shape (4, 3, 4, 5); it takes (8, 3, 4, 5)"


def test_ragged_rows_are_no_array() -> None:
    assert "rows have different lengths" in complaint({"image": [[1.0], [1.0, 2.0]], "step": 1})


def test_other_byte_orders_are_not_taken() -> None:
    text = complaint({"image": IMAGE.astype(">f4"), "step": 1})
    assert text == "image holds >f4; it takes float32"


def test_long_lists_are_cut() -> None:
    with pytest.raises(DiagnosticError) as caught:
        fit_arrays("E0911", {f"w{i}": 1 for i in range(20)}, {}, what="parameter", program="net")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "20 things are wrong with the parameters given to net"
    assert diagnostic.notes[0].endswith("w11 is no parameter of net\nand 8 more")
    assert diagnostic.notes[1] == "net has no parameters"


def test_optional_names_may_be_left_out_and_must_fit_if_given() -> None:
    def fit_optional(given: dict[str, npt.ArrayLike]) -> dict[str, Array]:
        return fit_arrays("E0910", given, EXPECTED, what="input", program="net", optional=("step",))

    assert set(fit_optional({"image": IMAGE})) == {"image"}
    with pytest.raises(DiagnosticError, match="step holds float64"):
        fit_optional({"image": IMAGE, "step": 0.5})


def test_types_are_described() -> None:
    assert describe(f32(1, 2)) == "float32 of shape (1, 2)"
    assert describe(TensorType(DType.BOOL, ())) == "one bool"
