"""From a network to a picture: layers become boxes, blocks become clusters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnndsl.draw.repeats import Wiring, collapse, resolve
from cnndsl.draw.scene import Box, Cluster, Item, Outlet, Scene, Strip, boxes_of
from cnndsl.layers.analysis import LayerReport, analyse
from cnndsl.layers.network import Layer, Network

FOLLOWERS = frozenset({"bn", "dropout", "lrn"})
"""Kinds that, like activations, stand in the box of the layer they follow."""


def scene_of(
    network: Network, *, depth: int | None = None, repeats: bool = True, singles: bool = True
) -> Scene:
    """Give the picture of a network.

    Blocks deeper than `depth` stay closed: with 0 every block is one box. `repeats` lets what
    stands in a row several times be shown once, with its count; without `singles` that holds for
    blocks and groups only, not for single layers.
    """
    gatherer = _Gatherer(network)
    leaves = gatherer.leaves()
    nested = _nest(leaves, 0)
    items = gatherer.items(nested, depth)
    if repeats:
        items, aliases = collapse(items, gatherer.wiring, singles=singles)
        items = _rewired(items, aliases)
    else:
        aliases = {}
    return Scene(network.name, (*items, *_outputs(network, aliases)))


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A box with the blocks around it."""

    box: Box
    path: tuple[tuple[str, object], ...]
    """Title and identity of each, outermost first."""


@dataclass(frozen=True, slots=True)
class _Nest:
    """A block with what is in it."""

    title: str
    children: tuple[_Leaf | _Nest, ...]


def _nest(leaves: Sequence[_Leaf], depth: int) -> tuple[_Leaf | _Nest, ...]:
    """Put leaves of the same block, which stand in a row, together."""
    found: list[_Leaf | _Nest] = []
    start = 0
    while start < len(leaves):
        leaf = leaves[start]
        if len(leaf.path) <= depth:
            found.append(leaf)
            start += 1
            continue
        end = start
        while (
            end < len(leaves)
            and leaves[end].path[depth : depth + 1] == leaf.path[depth : depth + 1]
        ):
            end += 1
        found.append(_Nest(leaf.path[depth][0], _nest(leaves[start:end], depth + 1)))
        start = end
    return tuple(found)


class _Gatherer:
    """Turns the layers of one network into items."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layers = {layer.name: layer for layer in network.layers}
        self.reports = {report.name: report for report in analyse(network).layers}
        self.readers: dict[str, list[str]] = {layer.name: [] for layer in network.layers}
        self.readers.update((source.name, []) for source in network.inputs)
        for layer in network.layers:
            for name in dict.fromkeys(layer.inputs):
                self.readers[name].append(layer.name)
        self.kept = frozenset(network.outputs.values())
        self.wiring = Wiring(
            {layer.name: layer.inputs for layer in network.layers}, self.readers, self.kept
        )

    def leaves(self) -> list[_Leaf]:
        """Give a box for each input and layer; layers that refine one share its box."""
        found = [
            _Leaf(
                Box(
                    (source.name,),
                    (Strip("input", "input"),),
                    (),
                    (Outlet(source.name, (source.size,)),),
                    (source.name,),
                    labelled=source.name != "input",
                ),
                (),
            )
            for source in self.network.inputs
        ]
        last: dict[str, int] = {}
        for layer in self.network.layers:
            at = last.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
            path = self._path(layer)
            if at is not None and self._joins(layer, found[at], path):
                found[at] = replace(found[at], box=self._with(found[at].box, layer))
            else:
                at = len(found)
                found.append(_Leaf(self._box(layer), path))
            last[layer.name] = at
        return found

    def _joins(self, layer: Layer, leaf: _Leaf, path: tuple[tuple[str, object], ...]) -> bool:
        """Tell whether a layer only refines the result of a box that nothing else reads."""
        (before,) = layer.inputs
        return (
            (layer.spec.kind.activation or layer.kind in FOLLOWERS)
            and layer.name not in self.network.streams
            and leaf.path == path
            and leaf.box.kind != "input"
            and self.readers[before] == [layer.name]
            and before not in self.kept
        )

    def _path(self, layer: Layer) -> tuple[tuple[str, object], ...]:
        prefixes = layer.name.split(".")[:-1]
        nets = tuple((prefix, ".".join(prefixes[: i + 1])) for i, prefix in enumerate(prefixes))
        return (*nets, *zip(layer.path, layer.instances, strict=True))

    def _box(self, layer: Layer) -> Box:
        report = self.reports[layer.name]
        return Box(
            (layer.name,),
            (Strip(layer.kind, _words(layer, report)),),
            tuple(dict.fromkeys(layer.inputs)),
            (Outlet(layer.name, (layer.output,)),),
            (layer.name,),
            params=report.params,
            macs=report.macs,
            labelled=layer.name in self.network.streams or _is_named(layer),
        )

    def _with(self, box: Box, layer: Layer) -> Box:
        report = self.reports[layer.name]
        return replace(
            box,
            strips=(*box.strips, Strip(layer.kind, _words(layer, report))),
            outlets=(Outlet(layer.name, (layer.output,)),),
            members=(*box.members, layer.name),
            params=box.params + report.params,
            macs=box.macs + report.macs,
        )

    def items(self, nested: tuple[_Leaf | _Nest, ...], depth: int | None) -> tuple[Item, ...]:
        """Open blocks down to `depth`, and close those below."""
        found: list[Item] = []
        for part in nested:
            if isinstance(part, _Leaf):
                found.append(part.box)
                continue
            inner = None if depth is None else depth - 1
            children = self.items(part.children, inner)
            key = f"block {children[0].key}"
            cluster = Cluster(key, part.title, children, self._exits(children))
            if depth is not None and depth <= 0:
                found.append(self._closed(cluster))
            elif len(children) == 1:
                found.append(children[0])
            else:
                found.append(cluster)
        return tuple(found)

    def _exits(self, children: tuple[Item, ...]) -> tuple[str, ...]:
        """Give the values that leave a block, in the order in which they are made."""
        members = frozenset(name for child in children for name in child.members)
        leaving = self.wiring.leaves(members)
        return tuple(name for child in children for name in child.members if name in leaving)

    def _closed(self, cluster: Cluster) -> Box:
        """Make one box of a block."""
        boxes = tuple(boxes_of(cluster.children))
        outlets = {o.value: o for box in boxes for o in box.outlets}
        return Box(
            (boxes[0].key,),
            (Strip("block", cluster.title),),
            cluster.inputs,
            tuple(outlets[value] for value in cluster.exits),
            cluster.members,
            params=sum(box.params for box in boxes),
            macs=sum(box.macs for box in boxes),
        )


def _words(layer: Layer, report: LayerReport) -> str:
    """Write a layer as it stands by itself: `softmax 10` has brought its `fc 10` already."""
    spec = layer.spec
    return spec.kind.name if spec.kind.brings(spec.settings) else report.words


def _rewired(items: tuple[Item, ...], aliases: Mapping[str, str]) -> tuple[Item, ...]:
    """Let boxes read the shown copy of what is collapsed."""
    found: list[Item] = []
    for item in items:
        if isinstance(item, Cluster):
            exits = tuple(resolve(value, aliases) for value in item.exits)
            found.append(replace(item, children=_rewired(item.children, aliases), exits=exits))
        else:
            read = dict.fromkeys(resolve(value, aliases) for value in item.inputs)
            found.append(replace(item, inputs=tuple(read)))
    return tuple(found)


def _outputs(network: Network, aliases: Mapping[str, str]) -> list[Box]:
    """Give a box for each output, if they have names or are several."""
    if list(network.outputs) == ["output"]:
        return []
    return [
        Box(
            (f"output {name}",),
            (Strip("output", name),),
            (resolve(of, aliases),),
            (),
            (),
            labelled=True,
        )
        for name, of in network.outputs.items()
    ]


def _is_named(layer: Layer) -> bool:
    """Tell whether a layer is called otherwise than its kind and a number: one of `CONV2..12`."""
    name = layer.name.rpartition(".")[2]
    return re.fullmatch(rf"{re.escape(layer.kind)}[0-9]+", name) is None
