"""The networks of `tests.zoo.networks`, written by hand as PyTorch code.

Each takes its arrays by our names and gives the scores before the softmax. Nothing of cnndsl is
used, so that sizes, padding and order are an independent reading of the programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

Module = Callable[..., tuple[torch.Tensor, tuple[torch.Tensor, ...]]]
"""One of PyTorch's recurrent layers: all states, and the last one."""


class Arrays:
    """Parameters and running statistics by name, and the layers that use them."""

    def __init__(self, arrays: Mapping[str, torch.Tensor], *, training: bool) -> None:
        self.arrays = arrays
        self.training = training

    def conv(self, name: str, x: torch.Tensor, **options: object) -> torch.Tensor:
        weight, bias = self.arrays[f"{name}.weight"], self.arrays.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, **options)

    def upconv(self, name: str, x: torch.Tensor, **options: object) -> torch.Tensor:
        weight, bias = self.arrays[f"{name}.weight"], self.arrays.get(f"{name}.bias")
        return F.conv_transpose2d(x, weight, bias, **options)

    def recurrent(self, kind: type[torch.nn.RNNBase], name: str, **arrays: str) -> Module:
        """Give PyTorch's own layer with our arrays; it adds a second bias, which is 0 here."""
        own = {key: self.arrays[f"{name}.{value}"] for key, value in arrays.items()}
        size, width = own["weight_hh_l0"].shape[1], own["weight_ih_l0"].shape[1]
        module = (
            kind(width, size, nonlinearity="relu") if kind is torch.nn.RNN else kind(width, size)
        )
        own.setdefault("bias_hh_l0", torch.zeros_like(own["bias_ih_l0"]))
        module = module.to(own["bias_ih_l0"].dtype)
        return lambda *inputs: torch.func.functional_call(module, own, inputs)

    def fc(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        return F.linear(x, self.arrays[f"{name}.weight"], self.arrays.get(f"{name}.bias"))

    def bn(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Normalise; in training the running statistics are changed in place."""
        mean, variance, scale, shift = (
            self.arrays[f"{name}.{slot}"] for slot in ("mean", "variance", "scale", "shift")
        )
        return F.batch_norm(
            x, mean, variance, scale, shift, training=self.training, momentum=0.1, eps=1e-5
        )

    def conv_bn_relu(self, number: int, x: torch.Tensor, **options: object) -> torch.Tensor:
        return F.relu(self.bn(f"bn{number}", self.conv(f"conv{number}", x, **options)))


def keras_mnist(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    x = F.max_pool2d(F.relu(a.conv("conv1", x, padding=1)), 2)
    x = F.max_pool2d(F.relu(a.conv("conv2", x, padding=1)), 2)
    x = F.relu(a.conv("conv3", x, padding=1))
    return a.fc("fc2", F.relu(a.fc("fc1", x)))


def lenet(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    x = F.avg_pool2d(torch.tanh(a.conv("C1", x)), 2)
    x = F.avg_pool2d(torch.tanh(a.conv("C3", x)), 2)
    x = torch.tanh(a.fc("C5", x))
    return a.fc("fc3", torch.tanh(a.fc("F6", x)))


def mlp(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    x = F.relu(a.fc("H1", x))
    return a.fc("fc3", F.relu(a.fc("H2", x)))


def slide(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    for stage in range(3):
        for number in (2 * stage + 1, 2 * stage + 2):
            x = F.relu(a.conv(f"conv{number}", x, padding=1))
        x = F.max_pool2d(x, 2)
    return a.fc("fc2", F.relu(a.fc("fc1", x)))


def residual(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    x = F.max_pool2d(a.conv_bn_relu(1, x, padding=1), 3, stride=2, padding=1)

    def trunk(first: int, x: torch.Tensor, stride: int) -> torch.Tensor:
        y = a.conv_bn_relu(first, x)
        y = a.conv_bn_relu(first + 1, y, stride=stride, padding=1)
        return a.bn(f"bn{first + 2}", a.conv(f"conv{first + 2}", y))

    x = F.relu(trunk(2, x, 1) + x)
    x = F.relu(trunk(5, x, 2) + a.bn("bn8", a.conv("conv8", x, stride=2)))
    x = F.relu(trunk(9, x, 1) + x)
    return a.fc("fc1", x.mean(dim=(2, 3)))


def lrn(x: torch.Tensor) -> torch.Tensor:
    """AlexNet's constants; PyTorch divides alpha by the size, the paper does not."""
    return F.local_response_norm(x, 5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def inception(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    def module(first: int, x: torch.Tensor) -> torch.Tensor:
        def unit(offset: int, y: torch.Tensor, pad: int) -> torch.Tensor:
            return F.relu(a.conv(f"conv{first + offset}", y, padding=pad))

        one = unit(0, x, 0)
        three = unit(2, unit(1, x, 0), 1)
        five = unit(4, unit(3, x, 0), 2)
        pooled = unit(5, F.max_pool2d(x, 3, stride=1, padding=1), 0)
        return torch.cat([one, three, five, pooled], dim=1)

    x = lrn(F.relu(a.conv("conv1", x, stride=2, padding=1)))
    x = module(2, x)
    # 7x6 to 4x3: "same" pads the height on both sides, the width only behind.
    x = F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-torch.inf), 3, stride=2)
    x = module(8, x)
    return a.fc("fc1", F.avg_pool2d(x, 2, stride=1))


def dense_block(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    def grow(conv: int, norm: int, x: torch.Tensor) -> torch.Tensor:
        y = a.conv(f"conv{conv}", F.relu(a.bn(f"bn{norm}", x)))
        y = a.conv(f"conv{conv + 1}", F.relu(a.bn(f"bn{norm + 1}", y)), padding=1)
        return torch.cat([x, y], dim=1)

    x = F.max_pool2d(a.conv_bn_relu(1, x, padding=1), 2)
    x = grow(4, 4, grow(2, 2, x))
    x = F.avg_pool2d(a.conv("conv6", F.relu(a.bn("bn6", x))), 2)
    x = grow(9, 9, grow(7, 7, x))
    return a.fc("fc1", F.relu(a.bn("bn11", x)).mean(dim=(2, 3)))


def separable(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    def unit(number: int, x: torch.Tensor, stride: int) -> torch.Tensor:
        # 6x5 to 3x3: "same" pads the height only behind, the width on both sides.
        x = F.pad(x, (1, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = a.conv(f"depthwise{number}", x, stride=stride, groups=x.shape[1])
        x = F.relu6(a.bn(f"bn{2 * number}", x))
        return F.relu6(a.bn(f"bn{2 * number + 1}", a.conv(f"conv{number + 1}", x)))

    x = a.conv_bn_relu(1, x, stride=2, padding=1)
    x = unit(3, unit(2, unit(1, x, 1), 2), 1)
    return a.fc("fc1", x.mean(dim=(2, 3)))


def activations(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    x = F.leaky_relu(a.conv("conv1", x, padding=1), 0.1)
    x = F.elu(a.conv("conv2", x, padding=1))
    x = F.avg_pool2d(x, 2, ceil_mode=True)
    x = F.prelu(a.conv("conv3", x, groups=2), a.arrays["prelu1.slope"])
    x = F.silu(a.conv("conv4", x, dilation=2, padding=1))
    x = torch.sigmoid(a.fc("fc1", x))
    # Of eight channels, every two neighbours share one maximum.
    x = a.fc("fc2", x).unflatten(1, (4, 2)).amax(dim=2)
    return a.fc("fc4", torch.tanh(a.fc("fc3", x)))


def decoder(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    e = F.relu(a.conv("conv1", x, padding=1))
    x, places = F.max_pool2d(e, 2, return_indices=True)
    x = F.max_pool2d(F.relu(a.conv("conv2", x, padding=1)), 2)
    x = F.relu(a.upconv("upconv1", F.relu(a.conv("conv3", x)), stride=2))
    x = torch.cat([F.max_unpool2d(x, places, 2), e], dim=1)
    # "same": a 5x3 window at stride 3 makes 4*3 of 4 rows; 2 rows too many, one on each side.
    x = a.upconv("upconv2", F.max_pool2d(x, 3), stride=3, padding=(1, 0), groups=2)
    x = a.upconv("upconv3", F.max_pool2d(F.relu(x), 3), stride=3, output_padding=(1, 2))
    x = F.relu(x[:, :, 1:, 1:-1])
    x = F.interpolate(F.avg_pool2d(x, (2, 3)), scale_factor=(2, 1))
    x = F.avg_pool2d(F.relu(a.conv("conv4", x, padding=1)), (2, 1))
    nails = torch.zeros(2, 2, dtype=x.dtype)
    nails[0, 0] = 1
    return a.conv("conv5", torch.kron(x.contiguous(), nails))


def resized(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    def to(x: torch.Tensor, height: int, width: int, *, corners: bool = False) -> torch.Tensor:
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=corners)

    e = F.relu(a.conv("conv1", x, padding=1))
    x = F.relu(a.conv("conv2", to(e, 12, 14), padding=1))
    x = F.interpolate(x, scale_factor=0.5)
    whole = F.interpolate(x, scale_factor=2, mode="bilinear")
    x = torch.cat([whole, to(x, 12, 14, corners=True), F.interpolate(x, (12, 14))], dim=1)
    x = F.relu(a.conv("conv3", x, stride=2, padding=1))
    x = to(to(x, 9, 7, corners=True) + e, 4, 5)
    x = F.interpolate(x, scale_factor=(3, 2), mode="bilinear")
    return a.fc("fc1", x.mean(dim=(2, 3)))


NAMES = {
    "weight_ih_l0": "input_weight",
    "weight_hh_l0": "hidden_weight",
    "bias_ih_l0": "bias",
}


def recurrent(a: Arrays, x: torch.Tensor) -> torch.Tensor:
    """PyTorch's own layers where it has them; peepholes and the paper's GRU by their equations."""

    def by_hand(name: str, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = {key.rpartition(".")[2]: v for key, v in a.arrays.items() if name in key}
        return x @ own["input_weight"].T + own["bias"], own["hidden_weight"], own.get("peephole")

    gru = a.recurrent(torch.nn.GRU, "gru1", **NAMES, bias_hh_l0="hidden_bias")
    x = gru(x.permute(2, 0, 1, 3).flatten(2))[0]
    x = F.relu(F.linear(x, a.arrays["conv1.weight"].flatten(1), a.arrays["conv1.bias"]))
    seen, weight, holes = by_hand("lstm1", x)
    h = c = torch.zeros(x.shape[1], 6, dtype=x.dtype)
    states = []
    for step in seen:
        i, f, g, o = (step + h @ weight.T).chunk(4, dim=1)
        c = torch.sigmoid(f + holes[1] * c) * c + torch.sigmoid(i + holes[0] * c) * torch.tanh(g)
        h = torch.sigmoid(o + holes[2] * c) * torch.tanh(c)
        states.append(h)
    x = a.recurrent(torch.nn.RNN, "rnn1", **NAMES)(torch.stack(states))[0]
    seen, weight, _ = by_hand("gru2", x)
    h = torch.zeros(x.shape[1], 4, dtype=x.dtype)
    states = []
    for step in seen:
        r, z = torch.sigmoid(step[:, :8] + h @ weight[:8].T).chunk(2, dim=1)
        n = torch.tanh(step[:, 8:] + (r * h) @ weight[8:].T)
        h = z * h + (1 - z) * n
        states.append(h)
    x = torch.stack(states)
    start = torch.tanh(a.fc("fc1", x.mean(dim=0)))[None]
    lstm = a.recurrent(torch.nn.LSTM, "lstm2", **NAMES)
    return a.fc("fc2", lstm(x, (start, torch.zeros_like(start)))[1][0][0])


NETWORKS: Mapping[str, Callable[[Arrays, torch.Tensor], torch.Tensor]] = {
    "keras_mnist": keras_mnist,
    "lenet": lenet,
    "mlp": mlp,
    "slide": slide,
    "residual": residual,
    "inception": inception,
    "dense_block": dense_block,
    "separable": separable,
    "activations": activations,
    "decoder": decoder,
    "recurrent": recurrent,
    "resized": resized,
}
