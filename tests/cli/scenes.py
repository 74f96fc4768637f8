"""Mistakes outside the text of a program: the files around them and the command that meets them."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

LINEAR = "input [8x8x1]\nflatten - fc 10 - softmax\n"
WIDE = "input [28x28x1]\nflatten - fc 10 - softmax\n"
TRAIN = "train p.cnn --device reference --epochs 1"
MNIST = "train p.cnn --device reference --data mnist --data-dir data"


@dataclass(frozen=True)
class Scene:
    """One mistake."""

    command: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)


def npz(**arrays: tuple[int, ...]) -> bytes:
    """Give a weights file of zeros: names with `__` for dots."""
    made = io.BytesIO()
    np.savez(made, **{n.replace("__", "."): np.zeros(s, np.float32) for n, s in arrays.items()})  # type: ignore[arg-type]
    return made.getvalue()


def picture(side: int) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.new("L", (side, side), 128).save(made, "PNG")
    return made.getvalue()


def images(count: int, *, side: int = 28, magic: int = 0x803, cut: int = 0, more: int = 0) -> bytes:
    data = bytes(count * side * side + more)
    return struct.pack(">IIII", magic, count, side, side) + data[: len(data) - cut]


def labels(*values: int) -> bytes:
    return struct.pack(">II", 0x801, len(values)) + bytes(values)


def mnist(pictures: bytes, classes: bytes) -> dict[str, str | bytes]:
    """Give a program and a folder with MNIST's files, the test files in order."""
    return {
        "p.cnn": WIDE,
        "data/mnist/train-images-idx3-ubyte": pictures,
        "data/mnist/train-labels-idx1-ubyte": classes,
        "data/mnist/t10k-images-idx3-ubyte": images(2),
        "data/mnist/t10k-labels-idx1-ubyte": labels(0, 1),
    }


def folder(**pictures: bytes) -> dict[str, str | bytes]:
    """Give a program and a folder of images, `class__name` each."""
    names = {f"pets/{name.replace('__', '/')}.png": data for name, data in pictures.items()}
    return {"p.cnn": "input [8x8x1]\nflatten - fc 2 - softmax\n", **names}


DEEP = "".join(f"block b{i} {{ b{i + 1} }}\n" for i in range(70))
DAMAGED = {
    f"{name}.gz": b"\x1f\x8b\x08 cut off" for name in mnist(b"", b"") if name.startswith("data")
}
MISFIT = npz(fc1__weight=(37, 64), fc1__bias=(10,))
IMPORTS = {f"f{i}.cnn": f'import "f{i + 1}.cnn" as f\nf\n' for i in range(20)}

SCENES: Mapping[str, Scene] = {
    "E0604": Scene("check p.cnn", {"p.cnn": f"input [8]\nb0\n{DEEP}block b70 {{ relu }}\n"}),
    "E0605": Scene("check f0.cnn", {**IMPORTS, "f20.cnn": "input [8]; relu\n"}),
    "E0619": Scene("check lenett", {"p.cnn": LINEAR}),
    "E0611": Scene("check p.cnn", {"p.cnn": b" " * ((1 << 20) + 1)}),
    "E0612": Scene("check p.cnn", {"p.cnn": b"input [8]\nrel\xff\n"}),
    "E0612-hidden": Scene("check p.cnn", {"p.cnn": "input [8]\nrelu \u202e- fc 10\n"}),
    "E0613": Scene("check nets.cnn", {"nets.cnn/p.cnn": LINEAR}),
    "E0614": Scene("check p.cnn", {"p.cnn": "input [8]\n" + "relu - " * 60_000 + "relu\n"}),
    "E0615": Scene("check p.cnn", {"p.cnn": "input [8]\n" + "(" * 101 + "relu" + ")" * 101}),
    "E0616": Scene("check p.cnn", {"p.cnn": "input [8]\nfc 1234567890123456789\n"}),
    "E0702": Scene(
        TRAIN, {"p.cnn": f'{LINEAR}load "w.npz"\n', "w.npz": MISFIT}
    ),
    "E0710": Scene(TRAIN, {"p.cnn": f'{LINEAR}load "w.npz"\n'}),
    "E0710-near": Scene("predict bset.safetensors a.png", {"best.safetensors": b"", "a.png": b""}),
    "E0711": Scene(TRAIN, {"p.cnn": f'{LINEAR}load "w.npz"\n', "w.npz": b"PK no zip at all"}),
    "E0711-weights": Scene("predict w.safetensors a.png", {"w.safetensors": b"x", "a.png": b""}),
    "E0720": Scene("train --resume runs/lenet-1", {"runs/lenet-2/program.cnn": LINEAR}),
    "E0721": Scene(
        "train --resume runs/a", {"runs/a/program.cnn": LINEAR, "runs/a/resolved.json": "{"}
    ),
    "E0731": Scene(
        TRAIN, {"p.cnn": f"{LINEAR}train {{ optimizer: sgd(lr=0.1, momentun=0.9) }}\n"}
    ),
    "E0731-augment": Scene(
        TRAIN, {"p.cnn": f"{LINEAR}data d {{ source: digits; augment: flop }}\n"
                         "train { data: d }\n"}
    ),
    "E0732": Scene(TRAIN, {"p.cnn": f"{LINEAR}train {{ optimizer: sgd(lr=-1) }}\n"}),
    "E0801": Scene(MNIST, {"p.cnn": WIDE, "data/readme": ""}),
    "E0801-part": Scene(MNIST, {"p.cnn": WIDE, "data/mnist/readme": ""}),
    "E0802": Scene(f"{TRAIN} --data mnits", {"p.cnn": WIDE}),
    "E0803": Scene(MNIST, mnist(images(2, magic=0x901), labels(0, 1))),
    "E0804": Scene(MNIST, mnist(images(2, cut=100), labels(0, 1))),
    "E0805": Scene(MNIST, mnist(images(2, more=5), labels(0, 1))),
    "E0806": Scene(MNIST, {"p.cnn": WIDE, **DAMAGED}),
    "E0807": Scene(MNIST, mnist(images(2), labels(0, 12))),
    "E0808": Scene(MNIST, mnist(images(2), labels(0, 1, 2))),
    "E0809": Scene(MNIST, mnist(struct.pack(">IIII", 0x803, 1 << 30, 28, 28), labels(0))),
    "E0810": Scene(f"{TRAIN} --data pets", folder(cat__a=b"no picture", cat__b=picture(8),
                                                  dog__a=picture(8), dog__b=picture(8))),
    "E0811": Scene(f"{TRAIN} --data pets", folder(cat__a=picture(8))),
    "E0814": Scene(f"{TRAIN} --data digits", {"p.cnn": LINEAR.replace("8x1", "8x2")}),
    "E0815": Scene(TRAIN, {"p.cnn": f"{LINEAR}data d {{ source: digits; pad: 4x4 }}\n"
                                    "train { data: d }\n"}),
    "E0819": Scene(f"{TRAIN} --limit 10 --batch 64", {"p.cnn": LINEAR}),
    "E0820": Scene(TRAIN, {"p.cnn": "input [8x8x1]\nflatten - fc 7 - softmax\n"}),
    "E0912": Scene("train p.cnn --device gpux", {"p.cnn": LINEAR}),
    "E0922": Scene("table p.cnn", {"p.cnn": "net eye { fc 8 }\ninput [8]\neye - eye\n"}),
    "E0923": Scene(
        "explain p.cnn --layer conv1 --at 9,0,0", {"p.cnn": "input [8x8x1]\nconv 2 3x3\n"}
    ),
    "E0924": Scene("compare p.cnn q.cnn --from 7", {"p.cnn": LINEAR, "q.cnn": LINEAR}),
    "E0925": Scene(
        "search p.cnn --max-params 3 --device reference",
        {"p.cnn": f"param n in [8, 9] = 8\n{LINEAR}"},
    ),
    "E0930": Scene("import keras p.py", {"p.py": "model.add(Conv3D(8, 3))\n"}),
    "E0930-darknet": Scene(
        "import darknet net.cfg", {"net.cfg": "[net]\ninputs=9\n[connected]\nouput=3\n"}
    ),
}  # fmt: skip
"""By code, and a word where a code has several."""
