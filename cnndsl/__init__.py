"""A compiler for convolutional networks: the lecture slide is the program.

    >>> import cnndsl
    >>> model = cnndsl.load("lenet.cnn")
    >>> model.network["C1"].output
    (28, 28, 6)

Importing this package imports nothing heavy; its names are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnndsl.compiler import CompileOptions as CompileOptions
    from cnndsl.frontend.find import zoo_programs as zoo_programs
    from cnndsl.model import FitResult as FitResult
    from cnndsl.model import Model as Model
    from cnndsl.model import compile_text as compile
    from cnndsl.model import load as load
    from cnndsl.session import Choices as Choices
    from cnndsl.support.diagnostics import CnnDslError as CnnDslError
    from cnndsl.support.diagnostics import Diagnostic as Diagnostic
    from cnndsl.support.diagnostics import DiagnosticError as DiagnosticError

_HOME = {
    "Choices": "cnndsl.session:Choices",
    "CnnDslError": "cnndsl.support.diagnostics:CnnDslError",
    "CompileOptions": "cnndsl.compiler:CompileOptions",
    "Diagnostic": "cnndsl.support.diagnostics:Diagnostic",
    "DiagnosticError": "cnndsl.support.diagnostics:DiagnosticError",
    "FitResult": "cnndsl.model:FitResult",
    "Model": "cnndsl.model:Model",
    "compile": "cnndsl.model:compile_text",
    "load": "cnndsl.model:load",
    "zoo_programs": "cnndsl.frontend.find:zoo_programs",
}

__all__ = [
    "Choices",
    "CnnDslError",
    "CompileOptions",
    "Diagnostic",
    "DiagnosticError",
    "FitResult",
    "Model",
    "__version__",
    "compile",
    "load",
    "zoo_programs",
]


def __getattr__(name: str) -> object:
    """Load a public name from where it lives."""
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
