from __future__ import annotations

import pytest

from cnndsl.frontend.sections import DataSection, EpochAction, Setting, TrainSection
from cnndsl.frontend.values import MapValue, SizeValue, Symbol
from tests.frontend.elaborating import built, codes, program, wrong

NET = "input [8]\nC1: fc 4\nF2: fc 2\n"


def train(lines: str) -> TrainSection:
    found = built(f"{NET}train {{\n{lines}\n}}").train
    assert found is not None
    return found


def data(lines: str) -> DataSection:
    return built(f"{NET}data d {{\n{lines}\n}}").data["d"]


def test_a_program_without_a_section_has_none() -> None:
    found = built(NET)
    assert (found.train, found.data) == (None, {})


def test_lenet_says_how_it_is_trained() -> None:
    found = program("lenet5")
    assert found.train == TrainSection(
        data="mnist",
        loss=Setting("crossentropy"),
        optimizer=Setting("sgd", kwargs={"lr": 0.1, "momentum": 0.9}),
        batch=128,
        epochs=10,
    )
    assert found.data["mnist"] == DataSection(
        "mnist", Setting("idx", ("mnist",)), pad=(32, 32), mean=(0.1307,), std=(0.3081,)
    )


def test_alexnet_says_how_its_images_are_changed() -> None:
    found = program("alexnet").data["imagenet"]
    assert found.augment == (
        Setting("crop", (227,)), Setting("flip"), Setting("jitter", (Symbol("pca"),)),
    )  # fmt: skip


def test_every_line_of_train() -> None:
    found = train(
        """
        data: digits
        loss: Cross_Entropy
        optimizer: adam lr 1e-3 beta1 0.5
        schedule: steps([0: 1e-3, 75: 1e-4])
        init: he
        batch: 32
        epochs: 3; seed: 0; clip: 5; patience: 4
        metrics: accuracy, top5
        at 2: freeze C1, lr 1e-4
        at 3: unfreeze C1..F2
        """
    )
    assert found.loss == Setting("crossentropy")
    assert found.optimizer == Setting("adam", kwargs={"lr": 1e-3, "beta1": 0.5})
    assert found.schedule == Setting("steps", (MapValue(((0, 1e-3), (75, 1e-4))),))
    assert found.init == Setting("he")
    assert (found.batch, found.epochs, found.seed) == (32, 3, 0)
    assert (found.clip, found.patience) == (5.0, 4)
    assert found.metrics == ("accuracy", "top5")
    assert found.actions == (
        EpochAction(2, "freeze", ("C1",)),
        EpochAction(2, "lr", (), 1e-4),
        EpochAction(3, "unfreeze", ("C1", "F2")),
    )
    assert set(found.spans) >= {"data", "loss", "batch", "at"}


@pytest.mark.parametrize(
    "line", ["patience: 4", "early stopping: 4", "early_stopping: patience 4", "patience: 4 epochs"]
)
def test_ways_to_stop_early(line: str) -> None:
    assert train(line).patience == 4


def test_values_of_the_program_serve_in_sections() -> None:
    section = "train { optimizer: sgd(lr=rate / 2)\nbatch: n }"
    found = built(f"param rate = 0.2, n = 16\n{NET}{section}")
    assert found.train is not None
    assert found.train.optimizer == Setting("sgd", kwargs={"lr": 0.1})
    assert found.train.batch == 16


def test_data_with_their_source_in_train() -> None:
    found = built(f'{NET}train {{ data: folder "images/pets" }}')
    assert found.train is not None
    assert found.train.data == "pets"
    assert found.data["pets"].source == Setting("folder", ("images/pets",))


def test_every_line_of_data() -> None:
    found = data(
        """
        source: folder "pets"
        resize: 64x48
        pad: 2
        normalize: mean [0.5, 0.4, 0.3], std 0.2
        split: 80%, 10%, 10%
        limit: 1000
        seed: 3
        channels: rgb
        classes: 37
        augment: crop 32 pad 4, flip
        """
    )
    assert found.source == Setting("folder", ("pets",))
    assert (found.resize, found.pad) == ((64, 48), 2)
    assert (found.mean, found.std) == ((0.5, 0.4, 0.3), (0.2,))
    assert found.split == (0.8, 0.1, 0.1)
    assert (found.limit, found.seed, found.channels, found.classes) == (1000, 3, 3, 37)
    assert found.augment == (Setting("crop", (32,), {"pad": 4}), Setting("flip"))


def test_sizes_in_settings() -> None:
    assert data("augment: crop 28x28").augment == (Setting("crop", (SizeValue((28, 28)),)),)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("batch: 0", "E0207"),
        ("batch: 2.5", "E0207"),
        ("batch: many", "E0207"),
        ("batch: 1 2", "E0207"),
        ("epochs: 3x3", "E0207"),
        ("clip: 0", "E0207"),
        ("seed: true", "E0207"),
        ("patience: soon", "E0207"),
        ("data: 3", "E0204"),
        ("loss: crosentropy", "E0730"),
        ("loss: crossentropy(lr=3)", "E0204"),
        ("loss: smooth_l1(beta=-1)", "E0207"),
        ("optimiser: sgd", "E0214"),
        ("sgd", "E0214"),
        ("optimizer: (sgd | adam)", "E0213"),
        ("optimizer: sgd * 2", "E0213"),
        ("optimizer: sgd(lr=1/0)", "E0505"),
        ("at 0: lr 1", "E0207"),
        ("at 2: lr 0", "E0207"),
        ("at 2: dance", "E0204"),
        ("at 2: unfreeze C9", "E0210"),
        ("at soon: lr 1", "E0207"),
        ('data: folder "/etc"', "E0606"),
        ("loss: yolo(a, b)", "E0212"),
        ("let x = G(z)", "E0212"),
        ("update D minimize bce(D, 1)", "E0212"),
        ("repeat 5 { minimize 1 }", "E0212"),
    ],
)
def test_mistakes_in_train(line: str, code: str) -> None:
    assert codes(f"{NET}train {{\n{line}\n}}") == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("resize: many", "E0207"),
        ("resize: 3x3x3", "E0207"),
        ("normalize: mean", "E0207"),
        ("normalize: mode 3", "E0207"),
        ("normalize: mean 1x1", "E0207"),
        ("split: 80%, 30%", "E0207"),
        ("split: none", "E0207"),
        ("channels: 2", "E0207"),
        ("channels: cmyk", "E0207"),
        ('source: folder "../pets\\\\x"', "E0606"),
        ("sauce: digits", "E0214"),
    ],
)
def test_mistakes_in_data(line: str, code: str) -> None:
    assert codes(f"{NET}data d {{\n{line}\n}}") == [code]


def test_misspelt_lines_get_a_suggestion() -> None:
    (found,) = wrong(f"{NET}train {{ bacth: 3 }}")
    assert found.label == "did you mean `batch`?"


def test_sections_stand_at_the_top() -> None:
    assert codes("input [8]\nrepeat 2 { train { batch: 3 } }\nfc 2") == ["E0213"]
    assert codes(f"{NET}train {{ batch: 3 }}\ntrain {{ batch: 4 }}") == ["E0209"]
    assert codes(f"{NET}train nobody {{ batch: 3 }}") == ["E0210"]
    assert codes(f"{NET}generate {{ start: x }}") == ["E0212"]


def test_a_program_may_train_one_of_its_nets() -> None:
    text = "net a { input [8]\nfc 2 }\nnet b { input [8]\nfc 3 }\ntrain a { batch: 3 }"
    assert built(text).network.name == "a"
    assert built(text.replace("train a", "train")).network.name == "b"
