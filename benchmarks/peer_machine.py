"""What measurements stand for: the processor, and the state of the tree."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def state() -> str:
    """Name the state of the tree that is measured: its commit, with "+" where files differ."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=7", "--dirty=+"]
    told = subprocess.run([*command, "--exclude", "*"], check=False, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def processor() -> str:
    """Give the processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
