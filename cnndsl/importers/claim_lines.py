"""Lines of a slide that say a number: parameters, memory, operations, arithmetic."""

from __future__ import annotations

import re

from cnndsl.importers.rules import FORMULA, NUMBER, Reader, join, product, rule, sign, whole
from cnndsl.importers.sheet import hyphened

join(r"\d+\s?Total number of operations:")


@rule(rf"parameters: (.+?) = ({NUMBER})")
@rule(rf"parameters: ({NUMBER})!?")
def read_parameters(reader: Reader, found: re.Match[str]) -> bool:
    """`Parameters: (11*11*3)*96 = 35K`, `Parameters: 0!`, about the layer before."""
    last = reader.sheet.last
    if last is None:
        return False
    parts = [whole(part) if re.fullmatch(NUMBER, part) else product(part)
             for part in found.groups()]  # fmt: skip
    last.claims["params"] = " = ".join(parts)
    return True


@rule(r"number of parameters in this layer\?")
def read_question(reader: Reader, found: re.Match[str]) -> bool:
    """`Number of parameters in this layer?`: the result that follows is its answer."""
    reader.resume()
    reader.topic = "params"
    return True


@rule(rf"(?:each filter has |=> ?)({FORMULA}) = ({NUMBER})(?: params \(\+1 for bias\))?")
def read_step(reader: Reader, found: re.Match[str]) -> bool:
    """`each filter has 5*5*3 + 1 = 76 params (+1 for bias)`, `=> 76*10 = 760`."""
    value = whole(found[2])
    reader.sheet.claim(f"{product(found[1])} {sign(value)} {value}")
    if "+1 for bias" in found[0]:
        reader.values["biases"] = "with"
    last = reader.sheet.last
    if found[0].lstrip().startswith("=>") and reader.topic == "params" and last is not None:
        reader.sheet.counting[f"{reader.values.get('biases', 'without')} biases"] = None
        last.claims["params"] = value
        reader.topic = ""
    return True


@rule(rf"(?:[A-Za-z]\w*: )?({FORMULA}) = ({NUMBER})(?: spatially, so)?")
@rule(rf"stride \d+ => ({FORMULA}) = ({NUMBER})(?: :\\+)?")
def read_equation(reader: Reader, found: re.Match[str]) -> bool:
    """`LeNet: 16x5x5x120 = 48k`, `(28x28x32) x (5x5x192) = 120M`, `stride 2 => (7-3)/2+1 = 3`."""
    value = whole(found[2])
    reader.sheet.claim(f"{product(found[1])} {sign(value)} {value}")
    return True


@rule(rf"total memory: ({NUMBER}) \* 4\s+bytes ≈ ([\d.]+[KMG])B.*")
def read_total_memory(reader: Reader, found: re.Match[str]) -> bool:
    """`TOTAL memory: 24M * 4 bytes ≈ 93MB / image`."""
    reader.sheet.claim(f"memory ~= {whole(found[1])}")
    reader.sheet.claim(f"bytes ~= {whole(found[2])}B")
    return True


@rule(rf"total params: ({NUMBER}) parameters")
def read_total_parameters(reader: Reader, found: re.Match[str]) -> bool:
    """`TOTAL params: 138M parameters`, with or without biases as the page said before."""
    without = reader.values.get("biases") == "without"
    reader.sheet.claim(f"{'weights' if without else 'params'} ~= {whole(found[1])}")
    return True


@rule(r"(trainable|non-trainable|total) params: ([\d,]+)")
def read_summary_total(reader: Reader, found: re.Match[str]) -> bool:
    """`Total params: 257,162`, under a summary of Keras."""
    value = whole(found[2])
    non = found[1].casefold().startswith("non")
    reader.resume().claim(f"statistics == {value}" if non else f"params == {value}")
    return True


@rule(rf"(?:-?\s*)({NUMBER}) million parameters,?")
def read_millions(reader: Reader, found: re.Match[str]) -> bool:
    """`62.3 million parameters`."""
    reader.resume().claim(f"params ~= {whole(found[1])}M")
    return True


@rule(rf"(?:-?\s*)({NUMBER}) billion computation units in a forward pass\.?")
def read_billions(reader: Reader, found: re.Match[str]) -> bool:
    """`1.1 billion computation units in a forward pass`."""
    reader.resume().claim(f"macs ~= {whole(found[1])}G")
    return True


@rule(rf"about ({NUMBER}) parameters are in the FC layers(?: \(about ({NUMBER}) of parameters\))?")
def read_dense_share(reader: Reader, found: re.Match[str]) -> bool:
    """`About 57M parameters are in the FC layers (about 95% of parameters)`."""
    reader.resume()
    dense = [row.label for row in reader.sheet.layers if re.match(r"(?i)(?:conv )?fc", row.label)]
    if not dense:
        return False
    total = " + ".join(f"{label}.params" for label in dense)
    reader.sheet.claim(f"{total} ~= {whole(found[1])}")
    if found[2]:
        reader.sheet.claim(f"({total}) / params ~= {whole(found[2])}")
    return True


@rule(r".*number of neurons in the network's remaining layers is given by ([\d,–—-]+)\.?")
def read_neurons(reader: Reader, found: re.Match[str]) -> bool:
    """`.. is given by 253,440–186,624–64,896–..`, one number for each layer with weights."""
    reader.resume()
    labels = [r.label for r in reader.sheet.layers if re.match(r"(?i)conv|fc", r.label)]
    counts = [whole(part) for part in re.split(r"[–—-]", found[1])]
    for label, count in zip(labels, counts, strict=False):
        reader.sheet.claim(f"{label}.memory == {count}")
    return len(labels) >= len(counts)


@rule(r"(\d+) layers \(([\w -]+)\)")
def read_depth(reader: Reader, found: re.Match[str]) -> bool:
    """`8 layers (AlexNet)`: layers with weights."""
    reader.sheet.claim(f"{hyphened(found[2])}.weight_layers == {found[1]}")
    return True


@rule(r"(?:-> ?)?(\d+) - (\d+) layers \(([\w -]+)\)")
def read_depths(reader: Reader, found: re.Match[str]) -> bool:
    """`16 - 19 layers (VGGNet)`."""
    reader.sheet.claim(f"{hyphened(found[3])}.weight_layers in {found[1]}..{found[2]}")
    return True


@rule(r"(?:-\s*)?(\d+) total layers with weights")
def read_weight_layers(reader: Reader, found: re.Match[str]) -> bool:
    """`22 total layers with weights`."""
    reader.resume().claim(f"weight_layers == {found[1]}")
    return True


# ---------------------------------------------------------------- comparisons of two networks


@rule(r"compare ([\w-]+):")
def read_comparison(reader: Reader, found: re.Match[str]) -> bool:
    """`Compare VGG-16:`: the figures that follow are another network's, with their ratios."""
    reader.turn()
    reader.sheet.counting |= dict.fromkeys(("with pools", "without input"))
    reader.topic = hyphened(found[1])
    return True


@rule(r"total from (\d+) to (\d+) resolution:")
def read_range(reader: Reader, found: re.Match[str]) -> bool:
    """`Total from 224 to 28 resolution:`: the figures that follow are the page's own network's."""
    reader.topic = "Stem"
    return True


@rule(rf"(memory|params|mflop): ({NUMBER})(?: (MB))?(?: \(([\d.]+)x\))?")
def read_cost(reader: Reader, found: re.Match[str]) -> bool:
    """`Memory: 42.9 MB (5.7x)`, `Params: 1.1M (8.9x)`, `MFLOP: 7485 (17.8x)`."""
    name = reader.topic
    if not name:
        return False
    quantity, figure = {
        "memory": ("bytes", f"{found[2]}MiB"),
        "params": ("params", whole(found[2])),
        "mflop": ("ops", f"{whole(found[2])}M"),
    }[found[1].casefold()]
    reader.sheet.claim(f"{name}.{quantity} ~= {figure}")
    if found[4]:
        reader.sheet.claim(f"{name}.{quantity} / Stem.{quantity} ~= {found[4]}")
    return True


@rule(r"(?:[\w, ]+? \(0?\.\d+\)\s*){2,}")
def read_scores(reader: Reader, found: re.Match[str]) -> bool:
    """`cat, tabby cat (0.61) Egyptian cat (0.22) ..`: class scores, which sum to 1."""
    scores = re.findall(r"\((0?\.\d+)\)", found[0])
    reader.sheet.claim(f"{' + '.join(scores)} <= 1")
    return True


# ---------------------------------------------------------------- a log of training


@rule(r"epoch (\d+)/(\d+)")
def read_epoch(reader: Reader, found: re.Match[str]) -> bool:
    """`Epoch 1/10`."""
    reader.values["epochs"] = found[2]
    reader.values["epoch"] = found[1]
    return True


@rule(r"(\d+)/(\d+) \[=+\] - (\d+)s (\d+)ms/step - loss: ([\d.]+) - acc: ([\d.]+)")
def read_log(reader: Reader, found: re.Match[str]) -> bool:
    """`60000/60000 [=====] - 75s 1ms/step - loss: 0.2413 - acc: 0.9235`."""
    seen, total, seconds, each = (int(part) for part in found.groups()[:4])
    reader.sheet.claim(f"{seen} == {total}")
    reader.sheet.claim(f"{seconds} * 1000 / {total} < {each + 1}")
    row = f"epoch {reader.values.get('epoch', '?')}: loss {found[5]}, accuracy {found[6]}"
    reader.sheet.note(row)
    return True
