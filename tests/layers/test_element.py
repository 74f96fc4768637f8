from __future__ import annotations

import math

import numpy as np
import pytest

from cnndsl.layers.base import LAYERS
from cnndsl.layers.element import WORKERS, reach_of, work_out
from cnndsl.layers.element_parts import Element, Seen
from cnndsl.layers.moves import MOVES, moved, origin_of
from cnndsl.model import Model

PROGRAMS = {
    "conv": "conv 3 3x3 pad 1 stride 2 floor dilation 2",
    "grouped": "conv 6 3x3 same groups 2 nobias",
    "untied": "conv 3 3x3 untied",
    "depthwise": "depthwise 3x3 half",
    "fc": "fc 7",
    "bn": "bn",
    "lrn": "lrn",
    "maxpool": "maxpool 3x3/2 half floor",
    "avgpool": "avgpool 3x3/2 half floor",
    "counting": "avgpool 3x3/2 half floor count padding",
    "gap": "gap",
    "gmp": "gmp",
    "softmax": "softmax",
    "logsoftmax": "logsoftmax",
    "maxout": "maxout 2",
    "add": "(conv 4 1x1 | id) -> add",
    "multiply": "(id | gap - fc 4 sigmoid) -> multiply",
    "prelu": "prelu",
    "leaky": "leaky 0.2",
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "elu": "elu",
    "swish": "swish 1.5",
    "gelu": "gelu",
    "flatten": "flatten",
    "reshape": "reshape [4x16x4]",
    "pad": "pad 2",
    "crop": "crop 1",
    "concat": "(conv 3 1x1 | id) -> concat",
    "dropout": "dropout 0.5",
    "upconv": "upconv 3 3x2 stride 2 pad 1 extra 1",
    "spread": "upconv 4 3x3/2 same dilation 2 groups 2 nobias",
    "upsample": "upsample 3x2",
    "blends": "upsample 3x2 bilinear",
    "resize": "resize 5x11",
    "corners": "resize 5x11 align corners",
    "one pixel": "resize 5x11 nearest",
    "unpool": "unpool 2x3",
    "nails": "unpool 2x3 nails",
    "rnn": "rnn 5",
    "states": "rnn 5 relu all",
    "lstm": "lstm 3 all peephole",
    "gru": "gru 3 all",
    "gru of the paper": "gru 3 reset before nobias",
    "score": "gap - softmax",
}
# Kinds that not every build of the layers has.
PROGRAMS |= {
    kind: text for kind, text in {"shuffle": "shuffle 2", "rbf": "rbf 3"}.items() if kind in LAYERS
}


def worked(seen: Seen, at: tuple[int, ...]) -> Element:
    found = moved(seen, at) if seen.layer.kind in MOVES else work_out(seen, at)
    assert found is not None
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_equals_the_reference(name: str) -> None:
    model = Model.from_text(f"input [8x8x4]\n{PROGRAMS[name]}\n")
    model.initialize(seed=3)
    assert model.state is not None
    rng = np.random.default_rng(5)
    model.state = {
        name: (np.abs(rng.normal(size=array.shape)) + 0.1).astype(array.dtype)
        for name, array in model.state.items()
    }
    image = rng.normal(size=(8, 8, 4)).astype(np.float32)
    layer = model.network.layers[-1]
    found = model.look(image, layer.name, *layer.inputs)
    arrays = {p.name: found[f"{layer.name}.{p.name}"].astype(np.float64) for p in layer.parameters}
    seen = Seen(layer, [found[n].astype(np.float64) for n in layer.inputs], arrays)
    places = [tuple(int(i) for i in rng.integers(layer.output)) for _ in range(12)]
    corners = [(0,) * len(layer.output), tuple(side - 1 for side in layer.output)]
    for at in (*places, *corners):
        element = worked(seen, at)
        reference = float(found[layer.name][(at[-1], *at[:-1])])
        assert element.value == pytest.approx(reference, rel=1e-5, abs=1e-5)
        assert element.steps[-1].value == element.value
        assert element.at == at
        for plane in element.planes:
            if plane.products is not None and plane.weights is not None:
                assert np.array_equal(np.nan_to_num(plane.values) * plane.weights, plane.products)


def test_every_kind_is_taken_apart() -> None:
    assert set(LAYERS) <= set(WORKERS) | MOVES
    tried = {Model.from_text(f"input [8x8x4]\n{p}\n").network.layers[-1].kind
             for p in PROGRAMS.values()}  # fmt: skip
    assert set(LAYERS) <= tried | {"id"}  # the empty branch leaves no layer behind


def test_places_that_a_pool_chose_are_not_guessed() -> None:
    network = Model.from_text("input [8x8x4]\nmaxpool 2x2/2 as p - unpool p\n").network
    seen = Seen(network.layers[-1], [np.ones((4, 4, 4)), np.ones((4, 4, 4))])
    assert work_out(seen, (0, 0, 0)) is None


def test_a_place_that_no_window_reaches() -> None:
    layer = Model.from_text("input [8x8x1]\nupconv 1 1x1 stride 2 extra 1\n").network.layers[0]
    assert reach_of(layer, (1, 0, 0)) is None
    assert reach_of(layer, (2, 4, 0)) == ((1, 1), (2, 2))
    parameters = {"weight": np.ones((1, 1, 1, 1)), "bias": np.full(1, 0.5)}
    element = work_out(Seen(layer, [np.ones((1, 8, 8))], parameters), (1, 0, 0))
    assert element is not None
    assert (element.value, element.planes) == (0.5, ())


def test_window_over_the_border() -> None:
    layer = Model.from_text("input [8x8x1]\nconv 1 3x3 pad 1\n").network.layers[0]
    assert reach_of(layer, (0, 7, 0)) == ((-1, 1), (6, 8))
    image = np.ones((1, 8, 8))
    parameters = {"weight": np.ones((1, 1, 3, 3)), "bias": np.zeros(1)}
    element = work_out(Seen(layer, [image], parameters), (0, 7, 0))
    assert element is not None
    assert element.value == 4
    assert int(np.isnan(element.planes[0].values).sum()) == 5
    assert element.steps[0].text == "sum of 4 products"


def test_where_numbers_come_from() -> None:
    network = Model.from_text("input [4x4x2]\n(id | id) -> concat - pad 1 - flatten\n").network
    concat, pad, flat = network.layers[-3:]
    origin = origin_of(concat, (1, 2, 3))
    assert origin is not None
    assert (origin.stream, origin.at) == (1, (1, 2, 1))
    assert origin_of(pad, (0, 3, 1)) is None
    origin = origin_of(flat, (36 + 7,))
    assert origin is not None
    assert origin.at == (1, 1, 1)


def test_extreme_numbers_stay_finite() -> None:
    for kind in ("sigmoid", "tanh", "softplus", "swish", "softmax", "logsoftmax"):
        layer = Model.from_text(f"input [1x1x2]\n{kind}\n").network.layers[0]
        for x in (-800.0, 800.0):
            element = work_out(Seen(layer, [np.array([[[x]], [[-x]]])]), (0, 0, 0))
            assert element is not None
            assert math.isfinite(element.value)
