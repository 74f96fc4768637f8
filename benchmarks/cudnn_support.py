"""Which convolutions cuDNN has plans for on Hopper, asked without a GPU; writes the table.

    python benchmarks/cudnn_support.py            # needs the extra cudnn and a C compiler

cuDNN plans for a device that is described to it. Engines compiled at run time also ask for
`libcuda.so.1`, whose functions they do not call before they are built: a library of empty functions
stands in for it. A plan that is listed may still fail on a device; whether one is right and fast
is measured there (`cnndsl tune --device cuda`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnndsl.backends.cuda.providers.cudnn import TABLE, TYPES, form_of  # noqa: E402
from cnndsl.backends.cuda.providers.cudnn_graph import Elements, declare, plan  # noqa: E402
from cnndsl.backends.cuda.providers.problem import (  # noqa: E402
    NOTHING,
    SINGLES,
    Convolution,
    Layout,
    Memory,
    Pass,
    Tail,
)
from cnndsl.ops.conv import SlideAttrs  # noqa: E402

H200 = {
    "deviceVer": 900,
    "driverVer": 13000,
    "maxGridSize": [2147483647, 65535, 65535],
    "maxBlockSize": [1024, 1024, 64],
    "regsPerBlock": 65536,
    "multiProcessorCount": 132,
    "warpSize": 32,
    "maxSharedMemoryPerBlock": 49152,
    "maxSharedMemoryPerBlockOptin": 232448,
    "reservedSharedMemoryPerBlock": 1024,
    "maxRegistersPerSM": 65536,
    "maxCtasPerSM": 32,
    "maxThreadsPerBlock": 1024,
    "maxThreadsPerSM": 2048,
    "pciDeviceId": 0,
    "isTccDriver": 0,
    "supportCoopLaunch": 1,
    "totalGlobalMem": 150_000_000_000,
    "cudaDeviceId": 0,
    "smClockRateKHz": 1_980_000,
    "memClockRateKHz": 3_201_000,
    "l2CacheSize": 62_914_560,
    "deviceName": "NVIDIA H200",
}
"""The device by its public figures, under the names that cuDNN reads."""
TAILS = (
    NOTHING,
    Tail(bias=True),
    Tail(relu=True),
    Tail(add=True),
    Tail(bias=True, relu=True),
    Tail(bias=True, add=True),
    Tail(add=True, relu=True),
    Tail(bias=True, add=True, relu=True),
)
MEMORIES = (
    SINGLES,
    Memory("bf16", "bf16"),
    Memory("f16", "f16"),
    Memory("bf16", "float"),
    Memory("f16", "float"),
)
"""Types of factors and result; a bias is always of singles."""
STUB = "CUDNN_SUPPORT_STUB"
BUILT = 4
"""Plans of a form that are built, to see whether any can be without a device."""


def convolutions(memory: Memory, *, rounded: bool) -> Iterator[Convolution]:
    """Walk the forms: three directions, grouped or not, each tail, both layouts."""
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    directions: tuple[Pass, ...] = ("forward", "grad_input", "grad_weight")
    for layout in layouts:
        for direction in directions:
            for groups in (1, 64):
                slide = SlideAttrs(padding=((1, 1), (1, 1)), groups=groups)
                for tail in TAILS if direction == "forward" else TAILS[:1]:
                    image = (8, 64, 28, 28)
                    weight = (64, 64 // groups, 3, 3)
                    how = (slide, tail, layout, rounded, memory)
                    yield Convolution(direction, image, weight, image, *how)


def ask(cudnn: Any, device: Any, conv: Convolution) -> dict[str, int]:
    """Count the plans that are listed, and say how many of the first can be built here."""
    try:
        elements = Elements(TYPES[conv.memory.factors], TYPES[conv.memory.result])
        made = declare(cudnn, conv, elements=elements, device_property=device, sm_version=90)
        plan(cudnn, made, rounded=conv.rounded, exact=False, most_workspace=1 << 30)
    except (RuntimeError, cudnn.cudnnGraphNotSupportedError):
        return {"listed": 0, "built": 0}
    built, names = 0, []
    for index, name in enumerate(made.plans):
        try:
            made.graph.build_plan_at_index(index)
            built += 1
            names.append(name)
        except (RuntimeError, cudnn.cudnnGraphNotSupportedError):
            continue
        if built == BUILT:
            break
    return {"listed": len(made.plans), "built": built}


def stub(libraries: Path, folder: Path) -> Path:
    """Compile a `libcuda.so.1` of empty functions for the names in cuDNN's libraries."""
    names: set[str] = set()
    for path in libraries.glob("*.so.9"):
        names.update(re.findall(rb"\0(cu[A-Z][A-Za-z0-9_]{3,60})(?=\0)", path.read_bytes()))
    known = {n.decode() for n in names if not n.startswith((b"cudnn", b"cuda", b"cublas"))}
    lines = [f"int {name}() {{ return 0; }}" for name in sorted(known - {"cuDriverGetVersion"})]
    lines.append("int cuDriverGetVersion(int* version) { *version = 13000; return 0; }")
    source, target = folder / "stub.c", folder / "libcuda.so.1"
    source.write_text("\n".join(lines))
    words = ["cc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-o", target, source]
    subprocess.run(words, check=True)
    return target


def main() -> None:
    import cudnn
    import nvidia.cudnn

    if STUB not in os.environ:
        with tempfile.TemporaryDirectory() as room:
            stub(Path(next(iter(nvidia.cudnn.__path__))) / "lib", Path(room))
            environ = {**os.environ, STUB: "1", "LD_LIBRARY_PATH": room}
            raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=environ).returncode)
    device = cudnn.create_device_properties(json.dumps(H200))
    forms = {}
    for memory in MEMORIES:
        for rounded in (False, True) if memory == SINGLES else (True,):
            for conv in convolutions(memory, rounded=rounded):
                forms[form_of(conv)] = ask(cudnn, device, conv)
    told = {
        "device": "NVIDIA H200, described, not present",
        "cudnn": cudnn.backend_version(),
        "frontend": cudnn.__version__,
        "shape": "8x64x28x28, 3x3, 64 filters; grouped: 64 groups",
        "forms": forms,
    }
    TABLE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(row['listed'] > 0 for row in forms.values())} of {len(forms)} forms: {TABLE}")


if __name__ == "__main__":
    main()
