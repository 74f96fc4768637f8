"""Programs that go back to a larger image: the language's U-Net and SegNet."""

from __future__ import annotations

from tests.frontend.elaborating import PROGRAMS as PROGRAM_FOLDER
from tests.frontend.elaborating import built, parameters, program, result


def test_unet_has_its_parameters() -> None:
    text = (PROGRAM_FOLDER / "unet.cnn").read_text("utf-8").partition("train {")[0]
    network = built(text).network
    assert parameters(network) == 31_030_658
    assert result(network) == (388, 388, 2)


def test_segnet_unpools_in_the_places_of_its_pools() -> None:
    network = program("segnet").network
    assert result(network) == (352, 480, 12)
    assert parameters(network) == 29_449_932
    unpooled = [layer for layer in network.layers if layer.kind == "unpool"]
    assert [layer.inputs[1] for layer in unpooled] == [f"maxpool{n}" for n in (5, 4, 3, 2, 1)]
