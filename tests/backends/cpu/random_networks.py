"""Random whole networks as programs: every kind of layer that a network of the zoo is made of.

Sizes are few, so that layers of different networks are often the same kernel, which is then in the
store already: compiling is what a test of hundreds of networks waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import TypeVar

from hypothesis import strategies as st

from cnndsl.compiler import Training
from cnndsl.frontend.parse import parse
from cnndsl.layers.network import Network
from cnndsl.recipes.optimizers import SGD, Adam, Optimizer, RMSprop
from cnndsl.session import Choices, plain_elaboration

T = TypeVar("T")

ACTIVATIONS = (
    "relu", "relu", "relu6", "leaky 0.1", "prelu", "elu", "sigmoid", "tanh", "swish", "gelu",
    "softplus",
)  # fmt: skip
FILTERS = (4, 8, 12, 20)
"""Fewer than a vector holds, and more; all divide by 4, for groups and maxout."""
WINDOWS = ("1x1", "3x3", "3x3", "5x5", "1x3", "3x1", "2x2", "4x3")
LOSSES = (
    ("softmax", "crossentropy"), ("softmax", "crossentropy"), ("softmax", "nll"),
    ("logsoftmax", "crossentropy"), ("id", "hinge"), ("id", "mse"), ("tanh", "l1"),
    ("id", "smooth_l1"), ("sigmoid", "bce"), ("sigmoid", "mse"), ("id", "bce"),
)  # fmt: skip
OPTIMIZERS: tuple[Optimizer, ...] = (
    SGD(lr=0.05),
    SGD(lr=0.05, momentum=0.9, decay=1e-3),
    SGD(lr=0.05, momentum=0.9, nesterov=True),
    Adam(),
    RMSprop(momentum=0.5),
)


@dataclass(frozen=True, slots=True)
class RandomNetwork:
    """A network, and how it is trained."""

    text: str
    """The program."""
    loss: str
    """Name of the loss."""
    optimizer: Optimizer
    """What moves the parameters."""
    batch: int
    """Images of a run."""

    @property
    def network(self) -> Network:
        """The elaborated program."""
        return plain_elaboration(parse(self.text, "random.cnn"), Choices(), base_dir=None).network

    @property
    def training(self) -> Training:
        """How it is trained."""
        return Training(self.optimizer, self.loss)


@dataclass(slots=True)
class Author:
    """Writes one program; knows the size of what the last line gave."""

    draw: st.DrawFn
    height: int
    width: int
    channels: int
    lines: list[str] = field(default_factory=list)

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of some options; shrinking tends to the first."""
        return self.draw(st.sampled_from(options))

    def perhaps(self, text: str) -> str:
        """Give the text or nothing."""
        return text if self.pick((False, True)) else ""

    def write(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def after(self) -> str:
        """Give what may follow a convolution: a norm, an activation."""
        activation = self.pick(("", *(f" - {name}" for name in ACTIVATIONS)))
        return self.perhaps(" - bn") + activation

    def convolution(self) -> None:
        """Convolve: strides, dilations, groups, borders of all kinds, perhaps uneven ones."""
        window = self.pick(WINDOWS)
        down, across = (int(side) for side in window.split("x"))
        filters = self.pick(FILTERS)
        groups = gcd(self.pick((1, 1, 1, 2, 4)), self.channels)
        words = [f"conv {filters} {window}", f"groups {groups}" if groups > 1 else ""]
        words.append(self.perhaps("nobias"))
        stride = self.pick((1, 1, 2))
        dilated = stride == 1 and max(down, across) > 1 and self.pick((False, False, True))
        reach = [(2 if dilated else 1) * (side - 1) + 1 for side in (down, across)]
        fits = reach[0] <= self.height and reach[1] <= self.width
        border = self.pick(("same", "same_lower", "valid" if fits and stride == 1 else "same"))
        words += [border, f"stride {stride}", "dilation 2" if dilated else ""]
        if border == "valid":
            self.height, self.width = self.height - reach[0] + 1, self.width - reach[1] + 1
        self.shrink(stride)
        self.channels = filters
        self.write(" ".join(word for word in words if word) + self.after())

    def shrink(self, stride: int) -> None:
        """Note that every `stride`-th place is left, the last one too."""
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)

    def depthwise(self) -> None:
        """Convolve channel by channel, then across channels."""
        stride, multiplier = self.pick((1, 1, 2)), self.pick((1, 1, 2))
        window = self.pick(("3x3", "3x3", "5x5", "2x2"))
        words = f"depthwise {window} same stride {stride} multiplier {multiplier}"
        self.shrink(stride)
        self.write(f"{words}{self.perhaps(' nobias')}{self.after()}")
        self.channels = self.pick(FILTERS)
        self.write(f"conv {self.channels} 1x1{self.after()}")

    def pooling(self) -> None:
        """Pool windows that overlap or not, with and without a border."""
        kind = self.pick(("maxpool", "avgpool"))
        window, stride = self.pick((("2x2", 2), ("3x3", 2), ("3x3", 1), ("2x2", 1), ("3x2", 2)))
        counted = " count padding" if kind == "avgpool" and self.pick((False, True)) else ""
        self.shrink(stride)
        self.write(f"{kind} {window} stride {stride} same{counted}")

    def residual(self) -> None:
        """Add a branch to what it started from, or to a projection of it."""
        stride = self.pick((1, 1, 2))
        wide = self.pick((self.channels, *FILTERS))
        inner = self.pick(FILTERS)
        if stride == 1 and wide == self.channels:
            shortcut = "id"
        else:
            shortcut = f"conv {wide} 1x1 nobias same stride {stride}{self.perhaps(' - bn')}"
        first = f"conv {inner} 3x3 same stride {stride}{self.after()}"
        second = f"conv {wide} {self.pick(('3x3', '1x1'))} same{self.perhaps(' - bn')}"
        self.shrink(stride)
        self.channels = wide
        self.write(f"( {first} - {second} | {shortcut} ) - add{self.after_join()}")

    def after_join(self) -> str:
        """Give what may follow the end of branches."""
        return self.pick((" - relu", "", " - tanh", " - bn - relu"))

    def inception(self) -> None:
        """Concatenate branches: windows of several sizes, a pool, what came in."""
        branches = [f"conv {self.pick(FILTERS)} 1x1{self.after()}"]
        sizes = [int(branches[0].split()[1])]
        for _ in range(self.pick((1, 2))):
            filters = self.pick(FILTERS)
            window = self.pick(("3x3", "5x5", "1x3"))
            branches.append(f"conv 4 1x1 - conv {filters} {window} same{self.after()}")
            sizes.append(filters)
        if self.pick((False, True)):
            branches.append(self.pick(("maxpool", "avgpool")) + " 3x3/1 same - conv 4 1x1")
            sizes.append(4)
        if self.pick((False, True)):
            branches.append("id")
            sizes.append(self.channels)
        self.channels = sum(sizes)
        self.write(f"( {' | '.join(branches)} ) - concat{self.after_join()}")

    def gate(self) -> None:
        """Weigh channels by what the whole image says of them, as squeeze-and-excitation does."""
        count = self.channels
        self.write(f"( id | gap - fc 4, relu - fc {count}, sigmoid ) - multiply")

    def plain(self) -> None:
        """Normalise, drop, activate, mix."""
        kinds = ["lrn", "lrn 3", "bn", "dropout 0.3", "pad 1", *ACTIVATIONS]
        kinds += ["shuffle 2"] if self.channels % 2 == 0 else []
        kinds += ["maxout 2"] if self.channels % 2 == 0 else []
        kind = self.pick(kinds)
        if kind == "maxout 2":
            self.channels //= 2
        if kind == "pad 1":
            self.height, self.width = self.height + 2, self.width + 2
        self.write(kind)

    def head(self) -> tuple[str, str]:
        """End in a few numbers; gives them and the loss."""
        self.write(self.pick(("gap", "flatten", "gmp", "flatten")))
        if self.pick((False, True)):
            units = self.pick((16, 5))
            self.write(f"fc {units}{self.perhaps(' - bn')} - relu{self.perhaps(' - dropout 0.5')}")
        return self.pick(LOSSES)

    def step(self) -> None:
        """Write one piece."""
        pieces: tuple[Callable[[], None], ...] = (
            self.convolution, self.convolution, self.convolution, self.depthwise, self.pooling,
            self.pooling, self.residual, self.residual, self.inception, self.gate, self.plain,
        )  # fmt: skip
        self.pick(pieces)()


@st.composite
def networks(draw: st.DrawFn, *, most: int = 4) -> RandomNetwork:
    """Draw a network of up to `most` pieces and a head."""
    author = Author(draw, *draw(st.sampled_from(((9, 9, 3), (12, 10, 2), (7, 13, 1), (8, 8, 4)))))
    author.write(f"input [{author.height}x{author.width}x{author.channels}]")
    for _ in range(draw(st.integers(1, most))):
        author.step()
    ending, loss = author.head()
    author.write(f"fc 4 - {ending}")
    optimizer, batch = author.pick(OPTIMIZERS), author.pick((3, 2, 5))
    return RandomNetwork("\n".join(author.lines) + "\n", loss, optimizer, batch)
