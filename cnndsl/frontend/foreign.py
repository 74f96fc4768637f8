"""Other tools' files, recognised by how they begin (E0105)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from cnndsl.support.diagnostics import Diagnostic, error
from cnndsl.support.source import SourceFile, Span

EXAMPLE = "in a .cnn file a network reads `input [28x28x1]`, then `conv 32 3x3 -> relu -> fc 10`"

DARKNET = (
    "net|network|convolutional|conv|maxpool|avgpool|connected|softmax|route|shortcut|yolo|region"
    "|upsample|dropout|deconvolutional|batchnorm|crop|cost|detection|local|reorg|activation"
)


@dataclass(frozen=True, slots=True)
class Format:
    """A text format that is not ours, and how it gives itself away."""

    article: str
    """What it is, as the message says it."""
    clue: str
    """What the marked text is, as the label says it."""
    pattern: re.Pattern[str]
    """Matches the text that gives it away."""
    second: re.Pattern[str] | None = None
    """What must be in the file as well."""
    always: bool = False
    """Whether it can be mistaken for a program that parses."""


def _lines(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:{pattern})", re.MULTILINE)


FORMATS = (
    Format(
        "a Darknet .cfg file",
        "a Darknet section",
        re.compile(rf"\A(?:[ \t]*(?:[#;][^\n]*)?\r?\n)*\[(?:{DARKNET})\](?=[ \t]*\r?$)", re.M),
        _lines(r"[a-z_]+[ \t]*=[^=\n]*$"),
    ),
    Format(
        "a Caffe .prototxt file",
        "a Caffe message",
        _lines(r"(?:layers?|input_param|convolution_param|net_param)[ \t]*\{[ \t]*$"),
        _lines(r"(?:name|type|bottom|top|num_output)[ \t]*:[ \t]*[\"A-Z0-9]"),
        always=True,
    ),
    Format(
        "Python",
        "a Python import",
        _lines(r"from[ \t]+[\w.]+[ \t]+import\b[^\n]*"),
        always=True,
    ),
    Format(
        "Python",
        "a Python statement",
        _lines(
            r"import[ \t]+(?:torch|keras|tensorflow|numpy|jax|flax|os|sys)\b[^\n]*"
            r"|(?:def|class)[ \t]+\w+[^\n{]*:[ \t]*$"
            r"|\w+[ \t]*=[ \t]*(?:\w+\.)*(?:Sequential|Model)\("
            r"|model\.(?:add|compile|fit|summary|build)\(|self\.\w+[ \t]*="
        ),
    ),
    Format(
        "a JSON file",
        "JSON",
        re.compile(r'\A\s*(?:\{\s*(?:"[^"\n]*"\s*:|\})|\[\s*(?:\{|"[^"\n]*"\s*,))'),
    ),
    Format("a YAML file", "a YAML document", re.compile(r"\A(?:%YAML[^\n]*|---[ \t]*$)", re.M)),
    Format(
        "a YAML file",
        "a YAML list item",
        _lines(r"-[ \t]+[A-Za-z_]\w*:(?:[ \t]|$)"),
        _lines(r"[A-Za-z_]\w*:[ \t]*$"),
    ),
    Format(
        "a slide's text with its typesetting",
        "a formula of a slide",
        re.compile(r"\$[^$\n]*\d[^$\n]*\$|\\times\b"),
    ),
    Format(
        "a slide's text with its typesetting",
        "emphasis of a slide",
        re.compile(r"\*\*[A-Za-z][^*\n]*\*\*"),
    ),
    Format("an XML file", "an XML tag", re.compile(r"\A\s*<[?!A-Za-z]")),
    Format(
        "an ONNX model in text form", "its header", re.compile(r"\A\s*<?\s*ir_version\s*:", re.M)
    ),
)
"""Tried in order."""

MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes weights and models"),
    (b"PK\x03\x04", "a zip archive, as PyTorch, Keras and NumPy write weights"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "an executable"),
)
"""How binary files begin."""


def recognise_bytes(data: bytes, name: str) -> Diagnostic | None:
    """Recognise a binary file of another tool."""
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return error("E0105", f"{name} is {kind}, not a .cnn file", helps=(EXAMPLE,))
    head = data[:64]
    if re.match(rb"\x08[\x01-\x20]\x12", head) or (head[:1] == b"\x08" and b"onnx" in head):
        return error("E0105", f"{name} is an ONNX model, not a .cnn file", helps=(EXAMPLE,))
    if len(data) > 9 and data[8:9] == b"{" and data[7:8] == b"\0":
        return error("E0105", f"{name} is a safetensors file, not a .cnn file", helps=(EXAMPLE,))
    return None


def recognise_text(source: SourceFile, *, failed: bool) -> Diagnostic | None:
    """Recognise another tool's text; `failed` says that it does not parse as a program."""
    head = source.text[:20_000]
    for form in FORMATS:
        found = form.pattern.search(head)
        if not (failed or form.always):
            continue
        if found is None or (form.second is not None and form.second.search(head) is None):
            continue
        shown = found[0]
        start = found.end() - len(shown.split("\n")[-1].lstrip())
        line = head.count("\n", 0, start) + 1
        column = start - head.rfind("\n", 0, start)
        return error(
            "E0105",
            f"this is {form.article}, not a .cnn file",
            Span(source.name, line, column, line, column + max(1, found.end() - start)),
            label=form.clue,
            helps=(_help(form, source, head),),
        )
    return None


def _help(form: Format, source: SourceFile, head: str) -> str:
    path = PurePath(source.name)
    if form.clue == "a Darknet section":
        return f"`cnndsl import darknet {path.stem}.cfg` writes the .cnn for it"
    if form.clue.endswith("of a slide"):
        return f"`cnndsl import slide {path.name}` cleans it and writes the .cnn for it"
    if form.article == "Python":
        tool = "torch" if re.search(r"\btorch\b|\bnn\.", head) else "keras"
        return f"`cnndsl import {tool} {path.stem}.py` writes the .cnn for it; nothing is executed"
    return EXAMPLE
