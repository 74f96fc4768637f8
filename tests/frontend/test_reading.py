"""From files to text: names, encodings, sizes, and what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnndsl.frontend.parse import parse_file
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.source import SourceFile, Span


def test_a_file_is_called_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "net.cnn"
    path.write_bytes(b"\xef\xbb\xbfconv 64 3x3\n")
    program = parse_file(path)
    assert program.source == SourceFile(str(path), "conv 64 3x3\n")
    assert parse_file(path, name="shown.cnn").source.name == "shown.cnn"
    assert program.statements[0].span == Span(str(path), 1, 1, 1, 12)


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "x.cnn"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"conv \xff 3", "E0612", "byte 5 is 0xff"),
        (b"a\nb\0", "E0612", "a zero byte at byte 3"),
        ("conv".encode("utf-16"), "E0612", "UTF-16"),
        (b" " * ((1 << 20) + 1), "E0611", "1,048,577 bytes; the limit is 1,048,576"),
        (b"\x08\x07\x12\x07pytorch\x1a\x03", "E0105", "an ONNX model"),
        (b"\x89HDF\r\n\x1a\n\x00", "E0105", "an HDF5 file"),
        (b"PK\x03\x04\x14\x00", "E0105", "a zip archive"),
        (b"\x80\x02}q\x00.", "E0105", "a Python pickle"),
        (b'\x40\0\0\0\0\0\0\0{"a":1}', "E0105", "a safetensors file"),
    ],
)
def test_files_that_are_no_programs(data: bytes, code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_file(_file(tmp_path, data), name="x.cnn")
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert said in found.message


def test_folders_pipes_and_missing_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.cnn"
    os.mkfifo(pipe)
    for path, code in (
        (tmp_path, "E0613"),
        (pipe, "E0613"),
        (Path("/dev/null"), "E0613"),
        (tmp_path / "none.cnn", "E0610"),
        (tmp_path / "none.cnn" / "x", "E0610"),
        (Path("a\0b"), "E0610"),
    ):
        with pytest.raises(DiagnosticError) as caught:
            parse_file(path)
        assert [d.code for d in caught.value.diagnostics] == [code]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DiagnosticError, match="cannot be read: Permission denied"):
        parse_file(tmp_path / "x.cnn")
