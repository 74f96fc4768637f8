"""Environments with the peers, made in the user's cache when they are first wanted."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PACKAGES = {
    "peers": ("numpy", "onnx", "onnxruntime", "openvino"),
    "jax": ("numpy", "jax[cpu]"),
}
"""What is installed into each environment, PyTorch aside: no two of them want the same versions."""


def environment(name: str, torch: str | None = None) -> Path:
    """Make an environment of the peers, if it is not there; gives its interpreter."""
    import platformdirs

    folder = platformdirs.user_cache_path("cnndsl") / "benchmarks" / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    print(f"making an environment in {folder}", flush=True)
    venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--no-input"]
    if name == "peers":
        small = [*pip, "--index-url", TORCH_INDEX, "--retries", "0", "--timeout", "10", "torch"]
        if torch is not None:
            subprocess.run([*pip, torch], check=True)
        elif subprocess.run(small, check=False, stderr=subprocess.DEVNULL).returncode:
            subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, *PACKAGES[name]], check=True)
    ready.touch()
    return python
