from __future__ import annotations

import pytest

from cnndsl.backends import load
from tests.backends.cuda.emulation import needs_emulator
from tests.cli.runner import run, run_json

needs_cpu = pytest.mark.skipif(
    load("cpu").unavailable() is not None, reason=str(load("cpu").unavailable())
)


@needs_cpu
@pytest.mark.parametrize(
    ("emit", "sign"), [("llvm", "define void @k"), ("asm", ".text"), ("ir", "conv2d(%input")]
)
def test_the_code_of_a_layer(emit: str, sign: str) -> None:
    document = run_json("kernels", "lenet", "C1", "--batch", "2", "--emit", emit)
    (kernel,) = document["kernels"]
    assert (kernel["op"], document["emit"]) == ("conv2d", emit)
    assert sign in kernel["text"]
    shown = run("kernels", "lenet", "C1", "--batch", "2", "--emit", emit)
    assert (shown.code, shown.err) == (0, "")
    assert kernel["text"].rstrip() in shown.out
    assert f" {kernel['node']}: conv2d" in shown.lines[0]


def test_a_node_is_found_by_its_own_name_too() -> None:
    by_node = run_json("kernels", "lenet", "tanh1", "--emit", "ir")["kernels"]
    by_layer = run_json("kernels", "lenet", "C1", "--emit", "ir")["kernels"]
    assert by_node == by_layer


def test_gradients_belong_to_the_layer() -> None:
    ops = {
        k["op"] for k in run_json("kernels", "lenet", "C1", "--train", "--emit", "ir")["kernels"]
    }
    assert {"conv2d", "conv2d_grad_weight", "reduce_sum"} <= ops


def test_layers_whose_weights_are_prepared_are_found() -> None:
    text = b"input [6x6x2]\nC: conv 3 3x3 -> bn -> relu -> fc 4 -> softmax\n"
    result = run("kernels", "-", "C", "--emit", "ir", stdin=text)
    assert result.code == 0
    assert "conv2d(" in result.out


def test_the_reference_has_no_code() -> None:
    (kernel,) = run_json("kernels", "lenet", "C1", "--device", "reference")["kernels"]
    assert kernel["text"] == ""
    assert "; no code" in run("kernels", "lenet", "C1", "--device", "reference").out


def test_unknown_layers_are_answered_with_what_was_meant() -> None:
    result = run("kernels", "lenet", "tanh9")
    assert result.code == 2
    assert "no step computes 'tanh9' after all passes; did you mean" in result.err


@needs_emulator
def test_the_cuda_text_of_a_layer() -> None:
    words = ("kernels", "lenet", "C1", "--batch", "2", "--device", "cuda-emulated")
    (kernel,) = run_json(*words, "--emit", "cuda")["kernels"]
    assert kernel["text"].startswith("// grid ")
    assert 'extern "C" __global__ void' in kernel["text"]
    assert kernel["algorithm"].startswith("plain ")
    assert "no code" in run(*words, "--emit", "llvm").out
