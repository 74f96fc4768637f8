from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.search.folder import SearchFolder
from cnndsl.support.diagnostics import DiagnosticError


def claim(root: Path) -> SearchFolder:
    return SearchFolder.claim(root, "tiny", program="fc 3\n", record={"plan": {"budget": 2}})


def test_claim_and_open(tmp_path: Path) -> None:
    one, two = claim(tmp_path), claim(tmp_path)
    assert (one.path.name, two.path.name) == ("tiny-search-1", "tiny-search-2")
    folder, record = SearchFolder.open(one.path)
    assert folder == one
    assert record == {"plan": {"budget": 2}}
    assert one.program.read_text() == "fc 3\n"
    assert one.read() == []
    assert not (one.path / "last").exists()


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as none:
        SearchFolder.open(tmp_path)
    assert none.value.diagnostics[0].code == "E0720"


@pytest.mark.parametrize("text", ["{", "[]", "{}", "3"])
def test_damaged_settings(tmp_path: Path, text: str) -> None:
    folder = claim(tmp_path)
    folder.settings.write_text(text)
    with pytest.raises(DiagnosticError) as damaged:
        SearchFolder.open(folder.path)
    assert damaged.value.diagnostics[0].code == "E0721"


@pytest.mark.parametrize("text", ["{", "[]", '{"number": 1}', "3"])
def test_damaged_trials(tmp_path: Path, text: str) -> None:
    folder = claim(tmp_path)
    folder.trials.write_text(text)
    with pytest.raises(DiagnosticError) as damaged:
        folder.read()
    assert damaged.value.diagnostics[0].code == "E0721"
