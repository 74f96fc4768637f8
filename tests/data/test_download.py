from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cnndsl.data import DATASETS
from cnndsl.data.download import REMOTE, RemoteFile, RemoteSet, fetch, is_published
from cnndsl.support.diagnostics import DataError

CONTENT = {"a.bin": bytes(range(256)) * 700, "b.bin": b"second"}


def remote(*mirrors: str) -> RemoteSet:
    files = tuple(
        RemoteFile(name, len(body), hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest())
        for name, body in CONTENT.items()
    )
    return RemoteSet(mirrors, files)


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Give a port of this machine that is taken but answers no one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class _Handler(BaseHTTPRequestHandler):
    """/good/ serves the files, /wrong/ other bytes, /long/ too many, /short/ half, /gone/ 403."""

    def do_GET(self) -> None:
        mirror, _, name = self.path.strip("/").partition("/")
        body = CONTENT[name]
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if mirror == "gone":
            self.send_error(403, "Forbidden")
            return
        sent = {"wrong": body[::-1], "long": body + b"more", "short": body[: len(body) // 2]}
        self.send_response(200)
        if mirror != "long":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(sent.get(mirror, body))

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(HTTPServer):
    asked: list[str]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up early is part of the tests


@pytest.fixture
def server() -> Iterator[_Server]:
    found = _Server(("127.0.0.1", 0), _Handler)
    found.asked = []
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def address(server: _Server, mirror: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{mirror}/"


def test_files_arrive_whole_and_are_not_fetched_twice(server: _Server, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    known = remote(address(server, "good"))
    target = tmp_path / "new" / "folder"
    paths = fetch("x", folder=target, remote=known, progress=lambda *said: heard.append(said))
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert heard[-1] == ("b.bin", 6, 6)
    assert sum(done == total for _, done, total in heard) == 2
    assert sorted(path.name for path in target.iterdir()) == ["a.bin", "b.bin"]
    assert fetch("x", folder=target, remote=known) == paths
    assert len(server.asked) == 2


@pytest.mark.parametrize("bad", ["gone", "wrong", "long", "short"])
def test_the_next_mirror_serves_when_one_fails(server: _Server, tmp_path: Path, bad: str) -> None:
    known = remote(address(server, bad), address(server, "good"))
    paths = fetch("x", folder=tmp_path, remote=known)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_damaged_file_is_replaced(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT["a.bin"][:-1] + b"x")
    paths = fetch("x", folder=tmp_path, remote=remote(address(server, "good")))
    assert paths[0].read_bytes() == CONTENT["a.bin"]


def test_what_is_not_the_published_file_is_refused(server: _Server, tmp_path: Path) -> None:
    mirrors = [address(server, mirror) for mirror in ("wrong", "long")]
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(DataError) as caught:
        fetch("x", folder=tmp_path, remote=remote(*mirrors))
    body = CONTENT["a.bin"]
    assert str(caught.value).replace(str(tmp_path), "") == (
        "error[E0817]: a.bin did not arrive as it was published\n"
        f"  = {mirrors[0]}a.bin: SHA-256 {hashlib.sha256(body[::-1]).hexdigest()}\n"
        f"    {mirrors[1]}a.bin: more than 179,200 bytes instead of 179,200\n"
        f"  = 179,200 bytes, SHA-256 {hashlib.sha256(body).hexdigest()}\n"
        "help: check the connection and try again\n"
        "help: or get it elsewhere and put it here: /a.bin"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_without_a_network_the_mirrors_and_the_folder_are_named(tmp_path: Path) -> None:
    with closed_port() as port:
        mirror = f"http://127.0.0.1:{port}/"
        with pytest.raises(DataError) as caught:
            fetch("x", folder=tmp_path, remote=remote(mirror), timeout=5.0)
    text = str(caught.value).replace(str(tmp_path), "")
    assert text.startswith(f"error[E0816]: a.bin could not be downloaded\n  = {mirror}a.bin: ")
    assert text.endswith("help: or get it elsewhere and put it here: /a.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_is_quoted(server: _Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)E0816.*the server answered 403 Forbidden"):
        fetch("x", folder=tmp_path, remote=remote(address(server, "gone")))


@pytest.mark.parametrize("call", ["fsync", "replace", "open", "write"])
def test_a_full_disk_leaves_nothing_behind(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        write = full

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    elif call == "open":
        monkeypatch.setattr(Path, "open", full)
    else:
        monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    with pytest.raises(DataError) as caught:
        fetch("x", folder=tmp_path, remote=remote(address(server, "good")))
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == (
        "error[E0818]: FOLDER cannot be written: No space left on device\n"
        "  = 179,200 bytes are needed\n"
        "help: free some space, or name another folder with --to"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="E0818"):
        fetch("x", folder=tmp_path / "file" / "below", remote=remote())


def test_only_published_sets_can_be_fetched() -> None:
    with pytest.raises(DataError, match=r"E0802.*digits needs no download"):
        fetch("digits")
    with pytest.raises(DataError, match=r"E0802.*no data set is called mnits"):
        fetch("mnits")


def test_every_entry_is_a_known_set_with_whole_hashes() -> None:
    assert set(REMOTE) <= set(DATASETS)
    for entry in REMOTE.values():
        assert entry.mirrors
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in entry.mirrors)
        for file in entry.files:
            assert (len(file.md5), len(file.sha256)) == (32, 64)
            assert file.size > 0


def test_is_published_compares_size_and_hash(tmp_path: Path) -> None:
    file = remote().files[1]
    path = tmp_path / "b.bin"
    assert not is_published(path, file)
    path.write_bytes(b"secone")
    assert not is_published(path, file)
    path.write_bytes(b"second")
    assert is_published(path, file)
