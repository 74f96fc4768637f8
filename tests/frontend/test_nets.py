"""Nets and imported files: sharing, cutting, patching, freezing, loading."""

from __future__ import annotations

import pytest

from tests.frontend.elaborating import built, codes, kinds, names, parameters, program, wrong

IMPORT = 'import "plain.cnn" as plain\n'


def test_a_net_used_twice_shares_its_weights() -> None:
    network = built(
        """
        net eye { conv 8 3x3 half relu - bn }
        input a [8x8x3]
        input b [8x8x3]
        (from a - eye | from b - eye) - concat
        """
    ).network
    assert names(network) == [
        "eye.conv1", "eye.relu1", "eye.bn1", "eye_2.conv1", "eye_2.relu1", "eye_2.bn1", "concat1",
    ]  # fmt: skip
    assert network["eye_2.conv1"].parameters_of == "eye.conv1"
    assert network["eye_2.bn1"].parameters_of == "eye.bn1"
    assert parameters(network) == 3 * 3 * 3 * 8 + 8 + 16


def test_a_block_used_twice_has_new_weights() -> None:
    network = built("block b { conv 8 3x3 half }\ninput [8x8x8]\nb - b").network
    assert {layer.parameters_of for layer in network.layers} == {"conv1", "conv2"}
    assert parameters(network) == 2 * (3 * 3 * 8 * 8 + 8)


def test_a_net_inside_a_net_shares_too() -> None:
    network = built(
        """
        net inner { fc 4 }
        net outer { inner - relu }
        input [4]
        outer - outer
        """
    ).network
    assert parameters(network) == 20
    assert network["outer_2.inner.fc1"].parameters_of == "outer.inner.fc1"


def test_a_net_reads_its_inputs_in_order() -> None:
    network = built(
        """
        net D { input x [8x8x3]
          input y [8x8x1]
          (from y | from x) - concat }
        input photo [8x8x3]
        input drawing [8x8x1]
        (from photo | from drawing) - D
        """
    )
    assert network.network["D.concat1"].inputs == ("drawing", "photo")
    alone = network.networks["D"]
    assert [i.name for i in alone.inputs] == ["x", "y"]
    assert names(alone) == ["concat1"]


def test_an_input_that_is_fed_needs_no_size() -> None:
    network = built("net D { input x\nfrom x - fc 2 }\ninput [7]\nD").network
    assert network["D.fc1"].input_sizes == ((7,),)


def test_too_many_streams_for_a_net() -> None:
    text = "net D { input x [8]\nfc 2 }\ninput a [8]\n(from a | from a) - D"
    assert codes(text) == ["E0401"]


def test_nets_that_declare_inputs_stand_by_themselves() -> None:
    found = built(
        """
        net G { input z [16]
          fc 4 }
        net head { fc 2 }
        input [8x8x3]
        head
        """
    )
    assert list(found.networks) == ["G"]
    assert kinds(found.network) == ["fc"]


def test_arguments_of_nets() -> None:
    network = built("net n(c, d=3) { fc c - fc d }\ninput [4]\nn(7)").network
    assert [layer.output for layer in network.layers] == [(7,), (3,)]


# ------------------------------------------------------------------ imported files


def test_an_imported_file_is_a_template() -> None:
    network = built(f"{IMPORT}input [16x16x3]\nplain(width=8)\nfrom plain.C1 - fc 2")
    assert names(network.network) == [
        "plain.C1", "plain.relu1", "plain.conv2", "plain.relu2", "plain.F2", "fc1",
    ]  # fmt: skip
    assert network.network["plain.C1"].output == (16, 16, 8)
    assert network.network["fc1"].inputs == ("plain.relu1",)
    assert network.params == {}


def test_a_template_used_twice_has_new_weights() -> None:
    network = built(f"{IMPORT}input [16x16x3]\n(plain | plain(width=8)) - add").network
    assert network["plain_2.C1"].parameters_of == "plain_2.C1"
    assert network["plain_2.C1"].output == (16, 16, 8)


def test_a_template_brings_its_input() -> None:
    network = built(f"{IMPORT}plain - softmax").network
    assert [i.size for i in network.inputs] == [(16, 16, 3)]


def test_a_net_made_of_a_file_has_its_labels() -> None:
    found = built(f"{IMPORT}net p = plain(width=8)\nnet q = p")
    assert names(found.networks["p"]) == ["C1", "relu1", "conv2", "relu2", "F2"]
    assert found.network.name == "q"


@pytest.mark.parametrize(
    ("cut", "last"),
    [("C1", "relu1"), ("conv2", "relu2"), ("F2", "F2"), ("relu1", "relu1")],
)
def test_a_cut_ends_behind_its_label(cut: str, last: str) -> None:
    for text in (f"net t = plain until {cut}", f"net p = plain\nnet t = p until {cut}"):
        found = built(f"{IMPORT}{text}\ninput [16x16x3]\nt - flatten").network
        stem = "t.p." if "net p" in text else "t."
        assert found["flatten1"].inputs == (f"{stem}{last}",)


def test_a_cut_behind_a_member_of_a_family() -> None:
    network = built(
        """
        net n { repeat i in 1..4 { fc i as c[i] } }
        input [4]
        n until c[2]
        """
    ).network
    assert names(network) == ["n.fc1", "n.fc2"]
    assert network.streams["n.c[1]"] == "n.fc1"


def test_a_cut_builds_no_further_than_its_label() -> None:
    text = "net n { a: conv 2 3x3 half\nb: conv 9 50x50 }\ninput [8x8x3]\nn until a - fc 2"
    assert kinds(built(text).network) == ["conv", "fc"]


# ------------------------------------------------------------------ patches


def test_a_patch_replaces_lines_by_their_labels() -> None:
    found = built(f"{IMPORT}net mine = plain {{ replace F2: fc 37 }}")
    assert found.network.name == "mine"
    assert found.network["F2"].output == (37,)
    assert found.notes == ()


def test_a_patch_drops_the_assertions_behind_it_that_no_longer_hold() -> None:
    found = built(f"{IMPORT}net mine = plain {{ replace C1: conv 4 3x3 }}")
    (note,) = found.notes
    assert note.code == "N0006"
    assert "1 assertion does not hold and was dropped" in note.message
    assert "is changed from C1 on" in note.message


def test_a_patch_states_sizes_of_its_own() -> None:
    text = f"{IMPORT}net mine = plain {{ replace C1: conv 4 3x3 => [16x16x4] }}"
    assert codes(text) == ["E0302"]


def test_a_patch_replaces_the_input() -> None:
    found = built(f"{IMPORT}net mine = plain {{ replace INPUT: [20x20x1] }}")
    assert found.network.inputs[0].size == (20, 20, 1)


def test_a_patch_of_a_patched_net() -> None:
    text = f"{IMPORT}net a = plain {{ replace F2: fc 7 }}\nnet b = a {{ replace C1: conv 9 1x1 }}"
    network = built(text).network
    assert (network["a.C1"].output, network["a.F2"].output) == ((16, 16, 9), (7,))


def test_a_patch_holds_only_what_changes_a_net() -> None:
    assert codes(f"{IMPORT}net a = plain {{ fc 7 }}") == ["E0213"]
    assert codes("block b { fc 2 }\ninput [4]\nb { replace x: fc 3 }") == ["E0211"]


def test_zfnet_is_alexnet_with_a_difference() -> None:
    found = program("zfnet")
    assert found.network["CONV1"].spec.size("stride") == (2, 2)
    assert found.network["CONV4"].output == (13, 13, 1024)
    assert [n.code for n in found.notes] == ["N0006"]
    assert found.network["FC8"].output == (1000,)


# ------------------------------------------------------------------ freeze, load


def trainable(text: str) -> list[str]:
    network = built(text).network
    return [la.name for la in network.layers if la.parameters and la.trainable]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("freeze C1", ["C2", "C3", "fc1"]),
        ("freeze C1..C3", ["fc1"]),
        ("freeze C1..3", ["fc1"]),
        ("freeze C1..C3\nunfreeze C2", ["C2", "fc1"]),
        ("freeze C1, C3", ["C2", "fc1"]),
        ("freeze C2 and fc1", ["C1", "C3"]),
    ],
)
def test_freezing(line: str, left: list[str]) -> None:
    text = "input [8x8x3]\nC1: conv 2 1x1\nC2: conv 2 1x1\nC3: conv 2 1x1\nfc 2\n"
    assert trainable(text + line) == left


def test_freezing_a_net_freezes_every_use_of_it() -> None:
    text = "net e { fc 4 }\nfreeze e\ninput [4]\ne - e - fc 2"
    assert trainable(text) == ["fc1"]


def test_freezing_a_net_from_outside_when_it_stands_alone() -> None:
    text = f"{IMPORT}net p = plain\nfreeze p.C1..p.conv2\nunfreeze p.conv2"
    assert trainable(text) == ["conv2", "F2"]
    assert trainable(f"{IMPORT}net p = plain\nfreeze p") == []


def test_the_lectures_transfer_recipe() -> None:
    found = program("transfer")
    assert [la.name for la in found.network.layers if la.parameters and la.trainable] == ["FC8"]
    (load,) = found.loads
    assert (load.net, load.path, load.fresh) == ("", "weights/vgg16.npz", ("FC8",))
    assert found.train is not None
    unfreeze, rate = found.train.actions
    assert (unfreeze.epoch, unfreeze.layers) == (10, ("FC6", "relu14", "dropout1", "FC7"))
    assert (rate.kind, rate.value) == ("lr", 1e-4)


def test_loading_into_a_net() -> None:
    text = 'net e { fc 4 }\nload e: "weights/e.safetensors"\ninput [4]\ne - fc 2'
    (load,) = built(text).loads
    assert (load.net, load.path) == ("e", "weights/e.safetensors")
    text = f'{IMPORT}net p = plain\nload p: "w.npz"'
    assert [load.net for load in built(text).loads] == [""]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("load", "E0213"),
        ("load weights", "E0213"),
        ('load q: "w.npz"', "E0210"),
        ('load "w.txt"', "E0607"),
        ('load "../w.npz/.."', "E0607"),
        ("output", "E0213"),
        ("output 3", "E0213"),
        ("output nothing", "E0202"),
        ("default: half", "E0213"),
        ("default conv: half - relu", ""),
        ("default conv: (half)", "E0213"),
        ("freeze nothing", "E0210"),
        ("freeze C..3", "E0106"),
    ],
)
def test_mistakes_in_directives(text: str, code: str) -> None:
    whole = f"input [8]\nfc 2\n{text}"
    if code:
        assert codes(whole) == [code]
    else:
        assert kinds(built(whole).network) == ["fc"]


# ------------------------------------------------------------------ definitions


@pytest.mark.parametrize(
    "text",
    [
        "block a { a }",
        "block a { b }\nblock b { c }\nblock c { relu - (a | id) - add }",
        "net a { a }",
        "net a = b\nnet b = a",
        "block a { let u = b if true else b\n u }\nblock b { a }",
    ],
)
def test_definitions_in_a_circle(text: str) -> None:
    assert codes(f"{text}\ninput [8]\na") == ["E0603"]


def test_a_name_may_hide_a_definition() -> None:
    text = "block a(b) { fc b }\nblock b { a(3) }\ninput [8]\nb"
    assert kinds(built(text).network) == ["fc"]


def test_definitions_come_once() -> None:
    assert codes("block a { fc 2 }\nblock a { fc 3 }\ninput [8]\na") == ["E0209"]
    assert codes("let a = 1\nlet a = 2\ninput [8]\nfc 2") == ["E0209"]


def test_messages_inside_blocks_say_where_they_are_used() -> None:
    (found,) = wrong("block b(k, s=1) { conv 4 k stride s }\ninput [8x8x3]\nb(9x9, s=2)")
    assert found.code == "E0305"
    assert found.notes[-1] == "in `b(9x9, s=2)`, used at line 3, where k = 9x9, s = 2"
