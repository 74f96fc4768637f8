"""`cnndsl doctor`: what this installation has and can do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import json_option

REQUIRED = (
    "click",
    "lark",
    "llvmlite",
    "networkx",
    "numpy",
    "pillow",
    "platformdirs",
    "rich",
    "safetensors",
)
"""Distributions that must be there."""

EXTRAS = {"resvg_py": "draw", "cupy": "cuda", "onnx": "onnx", "matplotlib": "plot"}
"""Modules that an extra brings."""


@click.command()
@json_option
def doctor(*, as_json: bool) -> int:
    """Versions, folders, backends and data sets of this installation."""
    report = examine()
    if as_json:
        emit_json(report)
    else:
        for title, entries in report.items():
            if isinstance(entries, dict):
                click.echo(f"{title}:")
                for name, value in entries.items():
                    click.echo(f"  {name:<14} {value}")
    return 0 if report["ok"] else 4


def examine() -> dict[str, object]:
    """Look at everything; nothing is changed and nothing is fetched."""
    from cnndsl.backends import BACKENDS, load
    from cnndsl.data import DATASETS
    from cnndsl.data.base import default_cache
    from cnndsl.support.resources import resource_dir
    from cnndsl.train.runs import environment

    packages = {name: _version(name) for name in REQUIRED}
    reasons = {name: load(name).unavailable() for name in BACKENDS}
    cache = default_cache()
    return {
        "ok": all(version != "missing" for version in packages.values()),
        "versions": environment(),
        "packages": packages,
        "extras": {name: _extra(name, extra) for name, extra in EXTRAS.items()},
        "machine": {"processors": os.cpu_count() or 1, "memory": _memory()},
        "backends": {name: reason or "ready" for name, reason in reasons.items()},
        "folders": {
            "grammars": str(resource_dir("grammars")),
            "zoo": str(resource_dir("zoo")),
            "cache": f"{cache} ({'writable' if _writable(cache) else 'not writable'})",
            "CNNDSL_DATA": os.environ.get("CNNDSL_DATA", "not set"),
        },
        "data sets": {name: source.title for name, source in DATASETS.items()},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _extra(module: str, extra: str) -> str:
    if importlib.util.find_spec(module) is None:
        return f"not installed (extra {extra})"
    return _version(module)


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB"


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
