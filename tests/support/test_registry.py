"""The registry: order, double names, unknown names."""

from __future__ import annotations

import pytest

from cnndsl.support.registry import Registry, UnknownNameError


def test_keeps_the_order_of_registration() -> None:
    things: Registry[int] = Registry("thing")
    things.register("b", 2)
    things.register("a", 1)
    assert list(things.items()) == [("b", 2), ("a", 1)]
    assert len(things) == 2
    assert "a" in things


def test_decorates() -> None:
    things: Registry[object] = Registry("thing")

    @things.named("f")
    def f() -> None: ...

    assert things["f"] is f


def test_refuses_a_name_twice() -> None:
    things: Registry[int] = Registry("thing")
    things.register("a", 1)
    with pytest.raises(ValueError, match="thing 'a' is registered twice"):
        things.register("a", 2)


def test_suggests_near_names() -> None:
    things: Registry[int] = Registry("layer")
    things.register("maxpool", 1)
    with pytest.raises(UnknownNameError, match="did you mean 'maxpool'"):
        things["maxpol"]
    with pytest.raises(UnknownNameError) as caught:
        things["zzz"]
    assert str(caught.value) == "no layer is called 'zzz'"
    assert things.get("zzz") is None
