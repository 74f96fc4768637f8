from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path

import click
import jsonschema
import pytest

from cnndsl.cli.ending import Exit, describe, end, worst
from cnndsl.cli.schemas import FAILURE
from cnndsl.support.diagnostics import (
    BackendError,
    DataError,
    DiagnosticError,
    DivergedError,
    SettingError,
    StoppedError,
    WeightsError,
    error,
)

WRONG = error("E0301", "a window does not fit")


@pytest.fixture(autouse=True)
def reports_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports of bugs be written where they are cleared away."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (DiagnosticError(WRONG), 1),
        (click.UsageError("what?"), 2),
        (click.BadParameter("no number", param_hint="--batch"), 2),
        (SettingError(error("E0914", "CNNDSL_THREADS is 'many'")), 2),
        (DataError(error("E0801", "no files")), 3),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.cnn"), 3),
        (BackendError("no kernel for lstm"), 4),
        (DivergedError("the loss is not a number after step 3"), 5),
        (MemoryError(), 6),
        (OSError(errno.ENOSPC, "No space left on device", "best.safetensors"), 6),
        (WeightsError(error("E0711", "a damaged file")), 8),
        (KeyboardInterrupt(), 130),
        (StoppedError("resume with --resume"), 130),
        (ZeroDivisionError("division by zero"), 70),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_reason_has_its_code(
    reason: BaseException, code: int, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end(reason, as_json=as_json) == code
    shown = capsys.readouterr()
    assert shown.err
    assert "Traceback" not in shown.err
    if as_json:
        document = json.loads(shown.out)
        jsonschema.validate(document, FAILURE)
        assert document["exit"] == code
    else:
        assert shown.out == ""


def test_codes_are_the_documented_ones() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130]


def test_a_bug_is_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert end(ZeroDivisionError("division by zero"), as_json=False) == Exit.BUG
    shown = capsys.readouterr().err
    report = Path(shown.split()[-1])
    assert "ZeroDivisionError: division by zero" in report.read_text()


def test_diagnostics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    end(DiagnosticError(WRONG, WRONG), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert [d["code"] for d in document["diagnostics"]] == ["E0301", "E0301"]


def test_usage_errors_say_where_help_is() -> None:
    context = click.Context(click.Command("plan"), info_name="cnndsl plan")
    _, text = describe(click.UsageError("no such option --bach", context))
    assert text == "error: no such option --bach\nhelp: `cnndsl plan --help` lists what it takes"


def test_no_space_says_that_nothing_is_lost() -> None:
    code, text = describe(OSError(errno.ENOSPC, "No space left on device", "best.safetensors"))
    assert code == Exit.RESOURCES
    assert "(best.safetensors)" in text
    assert "what was there before is untouched" in text


def test_ends_of_others_are_kept() -> None:
    assert end(SystemExit(3), as_json=False) == 3
    assert end(click.exceptions.Exit(5), as_json=False) == 5


def test_worst() -> None:
    assert worst([]) == 0
    assert worst([0, 3, 1]) == 3
