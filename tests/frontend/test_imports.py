from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError
from cnndsl.support.limits import Limits

NET = "input [8]\nfc 3\n"


def network(folder: Path, text: str, **files: str) -> Network:
    for name, inside in files.items():
        path = folder / (name.replace("__", "/") + ".cnn")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inside, "utf-8")
    (folder / "main.cnn").write_text(text, "utf-8")
    return elaborate(parse_file(folder / "main.cnn")).network


def refused(folder: Path, text: str, **files: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        network(folder, text, **files)
    assert str(caught.value)
    return caught.value.diagnostics


def test_paths_start_at_the_file_that_imports(tmp_path: Path) -> None:
    found = network(
        tmp_path,
        'import "nets/a.cnn" as a\na - softmax',
        nets__a='import "parts/b.cnn" as b\nb - relu',
        nets__parts__b=NET,
    )
    assert [layer.kind for layer in found.layers] == ["fc", "relu", "softmax"]
    assert found.layers[0].span is not None
    assert found.layers[0].span.file.endswith("nets/parts/b.cnn")


def test_without_an_alias_a_file_is_called_as_it_lies_there(tmp_path: Path) -> None:
    assert network(tmp_path, 'import "plain.cnn"\nplain', plain=NET).layers[0].name == "plain.fc1"


def test_a_file_imported_twice_is_read_once(tmp_path: Path) -> None:
    text = 'import "a.cnn" as a\nimport "b.cnn" as b\n(a | b) - concat'
    found = network(tmp_path, text.replace("(a", "input [8]\n(a"), a=NET, b='import "a.cnn"\na')
    assert [layer.name for layer in found.layers] == ["a.fc1", "b.a.fc1", "concat1"]


def test_errors_of_imported_files_point_into_them(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, 'import "a.cnn" as a\na', a="input [8]\nfcc 3")
    assert found.code == "E0201"
    assert found.span is not None
    assert found.span.file.endswith("a.cnn")
    assert found.span.line == 2


def test_syntax_errors_of_imported_files_are_reported(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, 'import "a.cnn" as a\na', a="input [8]\nfc 3 ->\n")
    assert found.code[:3] == "E01"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../secret.cnn", "E0606"),
        ("nets/../../secret.cnn", "E0606"),
        ("/etc/passwd", "E0606"),
        ("~/x.cnn", "E0606"),
        ("C:/x.cnn", "E0606"),
        ("a\\\\b.cnn", "E0606"),
        ("https://example.org/x.cnn", "E0606"),
        ("", "E0606"),
        ("nothing.cnn", "E0619"),
        ("nets", "E0613"),
        ("out", "E0606"),
    ],
)
def test_paths_that_are_refused(tmp_path: Path, path: str, code: str) -> None:
    home = tmp_path / "home"
    (home / "nets").mkdir(parents=True)
    (tmp_path / "secret.cnn").write_text(NET)
    (home / "out").symlink_to(tmp_path / "secret.cnn")
    found = refused(home, f'import "{path}" as a\na')
    assert [d.code for d in found] == [code]


def test_another_folder_may_be_allowed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "shared.cnn").write_text(NET)
    (home / "main.cnn").write_text('import "../shared.cnn" as s\ns')
    found = elaborate(parse_file(home / "main.cnn"), allow_paths=[tmp_path])
    assert found.network.layers[0].kind == "fc"


def test_a_text_that_is_no_file_imports_nothing() -> None:
    with pytest.raises(DiagnosticError) as caught:
        elaborate(parse('import "a.cnn" as a\na', "<text>"))
    assert [d.code for d in caught.value.diagnostics] == ["E0606"]


def test_a_text_may_be_told_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.cnn").write_text(NET)
    found = elaborate(parse('import "a.cnn" as a\na'), base_dir=tmp_path)
    assert found.network.layers[0].name == "a.fc1"


def test_files_that_import_one_another_too_deep(tmp_path: Path) -> None:
    files = {f"f{i}": f'import "f{i + 1}.cnn" as f\nf' for i in range(17)}
    found = refused(tmp_path, 'import "f0.cnn" as f\nf', **files, f17=NET)
    assert [d.code for d in found] == ["E0605"]


def test_too_many_files(tmp_path: Path) -> None:
    files = {f"f{i}": NET for i in range(5)}
    text = "".join(f'import "f{i}.cnn"\n' for i in range(5)) + NET
    network(tmp_path, text, **files)
    with pytest.raises(DiagnosticError) as caught:
        elaborate(parse_file(tmp_path / "main.cnn"), limits=Limits(files=4))
    assert {d.code for d in caught.value.diagnostics} == {"E0611"}


def test_too_many_bytes_in_all(tmp_path: Path) -> None:
    network(tmp_path, f'import "a.cnn"\n{NET}', a=NET + "#" * 500)
    with pytest.raises(DiagnosticError) as caught:
        elaborate(parse_file(tmp_path / "main.cnn"), limits=Limits(total_bytes=400))
    assert [d.code for d in caught.value.diagnostics] == ["E0611"]


def test_a_circle_that_leaves_the_program_out(tmp_path: Path) -> None:
    (found,) = refused(
        tmp_path,
        f'import "a.cnn" as a\n{NET}',
        a='import "b.cnn" as b\nb',
        b='import "a.cnn" as a\na',
    )
    assert (found.code, found.label) == ("E0601", "a.cnn -> b.cnn -> a.cnn")


def test_arguments_of_files_are_checked(tmp_path: Path) -> None:
    template = "param n in [1, 2] = 1, v in [A, B] = A\ninput [8]\nfc n"
    text = 'import "t.cnn" as t\nt(n=2, v=B)'
    assert network(tmp_path, text, t=template).layers[0].output == (2,)
    for wrong, code in (("n=3", "E0501"), ("m=1", "E0211"), ("v=C", "E0208"), ("1, A, 3", "E0211")):
        found = refused(tmp_path, text.replace("n=2, v=B", wrong), t=template)
        assert [d.code for d in found] == [code]


def test_imports_stand_at_the_top(tmp_path: Path) -> None:
    found = refused(tmp_path, 'input [8]\nrepeat 2 { import "a.cnn" as a }\nfc 2', a=NET)
    assert [d.code for d in found] == ["E0213"]


def test_a_file_that_is_one_net_is_that_net(tmp_path: Path) -> None:
    alone = network(tmp_path, 'import "a.cnn" as a\nnet x = a', a="input [8]\nF1: fc 3\nF2: fc 2")
    patched = network(
        tmp_path,
        'import "b.cnn" as b\nnet y = b { replace F2: fc 5 }',
        b='import "a.cnn" as a\nnet x = a',
    )
    assert [layer.name for layer in alone.layers] == ["F1", "F2"]
    assert [(layer.name, layer.output) for layer in patched.layers] == [("F1", (3,)), ("F2", (5,))]
    used = network(tmp_path, 'import "b.cnn" as b\ninput [8]\nb until F1 - relu')
    assert [layer.name for layer in used.layers] == ["b.F1", "relu1"]
