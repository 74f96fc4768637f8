from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cnndsl.draw.layered import Edge, Layout, lay_out
from cnndsl.draw.places import Gaps, Node

GAPS = Gaps()


def check(nodes: list[Node], edges: list[Edge], layout: Layout) -> None:
    """Nothing overlaps, nothing leaves the picture, every edge goes forward between its ports."""
    boxes = [
        (x - n.before, x + n.after, y, y + n.length)
        for n, x, y in zip(nodes, layout.across, layout.along, strict=True)
    ]
    for left, right, top, bottom in boxes:
        assert left >= -1
        assert right <= layout.breadth + 1
        assert top >= 0
        assert bottom <= layout.length
    for one, two in combinations(boxes, 2):
        apart = one[1] < two[0] or two[1] < one[0] or one[3] < two[2] or two[3] < one[2]
        assert apart
    for edge, route in zip(edges, layout.routes, strict=True):
        first, last = route.points[0], route.points[-1]
        source, target = nodes[edge.source], nodes[edge.target]
        assert first[0] == layout.across[edge.source] + source.outs.get(edge.value, 0.0)
        assert last[0] == layout.across[edge.target] + target.ins.get(edge.value, 0.0)
        assert last[1] == layout.along[edge.target]
        assert len(route.points) % 2 == 1
        assert all(a[1] <= b[1] for a, b in pairwise(route.points))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    count = draw(st.integers(1, 14))
    sizes = st.floats(1, 60)
    nodes = [Node(draw(sizes), draw(sizes), draw(sizes)) for _ in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return nodes, [Edge(a, b) for a, b in sorted(chosen, key=lambda p: p[::-1])]


@given(graphs())
def test_layout_of_any_graph(graph: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = graph
    check(nodes, edges, lay_out(nodes, edges, GAPS))


def test_a_chain_is_one_straight_line() -> None:
    nodes = [Node(20.0 + i, 30.0 - i, 10.0) for i in range(6)]
    layout = lay_out(nodes, [Edge(i, i + 1) for i in range(5)], GAPS)
    assert len(set(layout.across)) == 1
    assert list(layout.along) == sorted(layout.along)


def test_a_shortcut_goes_beside_a_straight_main_path() -> None:
    nodes = [Node(20.0, 20.0, 10.0) for _ in range(4)]
    edges = [Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(0, 3)]
    layout = lay_out(nodes, edges, GAPS)
    assert len(set(layout.across)) == 1
    passing = layout.routes[3].points[1:-1]
    assert all(abs(x - layout.across[0]) >= 20 for x, _ in passing[1:])


def test_branches_are_centred_and_keep_their_order() -> None:
    nodes = [Node(20.0, 20.0, 10.0) for _ in range(6)]
    edges = [Edge(0, i) for i in (1, 2, 3, 4)] + [Edge(i, 5) for i in (1, 2, 3, 4)]
    layout = lay_out(nodes, edges, GAPS)
    branches = layout.across[1:5]
    assert list(branches) == sorted(branches)
    assert layout.across[0] == layout.across[5]
    assert abs(layout.across[0] - sum(branches) / 4) <= 1


def test_crossings_that_need_not_be_are_removed() -> None:
    nodes = [Node(5.0, 5.0, 5.0) for _ in range(6)]
    edges = [Edge(0, 5), Edge(1, 4), Edge(2, 3)]
    layout = lay_out(nodes, edges, GAPS)
    order = sorted(range(3), key=lambda i: layout.across[i])
    targets = [layout.across[5 - i] for i in order]
    assert targets == sorted(targets)


def test_the_last_rank_and_late_sources() -> None:
    nodes = [
        Node(5.0, 5.0, 5.0, at_start=True),
        Node(5.0, 5.0, 5.0, at_start=True),
        Node(5.0, 5.0, 5.0),
        Node(5.0, 5.0, 5.0),
        Node(5.0, 5.0, 5.0),
        Node(5.0, 5.0, 0.0, at_end=True),
        Node(5.0, 5.0, 0.0, at_end=True),
    ]
    edges = [Edge(0, 2), Edge(2, 3), Edge(4, 3), Edge(1, 6), Edge(3, 5)]
    layout = lay_out(nodes, edges, GAPS)
    assert layout.along[0] == layout.along[1] == 0
    assert layout.along[5] == layout.along[6] == layout.length
    assert layout.along[4] == layout.along[2]


def test_tied_nodes_share_an_axis_where_the_order_allows_it() -> None:
    nodes = [Node(3.0, 3.0, 0.0), Node(30.0, 30.0, 9.0), Node(10.0, 10.0, 9.0), Node(3.0, 3.0, 0.0)]
    edges = [Edge(0, 1), Edge(0, 2), Edge(2, 3)]
    free = lay_out(nodes, edges, GAPS)
    tied = lay_out(nodes, edges, GAPS, tied=(0, 3))
    assert free.across[0] != free.across[3]
    assert tied.across[0] == tied.across[3]


def test_nothing_takes_no_room() -> None:
    assert lay_out([], [], GAPS).breadth == 0
