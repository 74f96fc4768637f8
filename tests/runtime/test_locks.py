from __future__ import annotations

import threading

import pytest

from cnndsl.runtime.locks import SharedLock


def test_many_hold_it_shared() -> None:
    lock = SharedLock()
    together = threading.Barrier(3, timeout=30)

    def work() -> None:
        with lock.shared():
            together.wait()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken


def test_one_holds_it_alone() -> None:
    lock = SharedLock()
    inside = 0
    seen: list[int] = []

    def write() -> None:
        nonlocal inside
        for _ in range(200):
            with lock.alone():
                inside += 1
                seen.append(inside)
                inside -= 1

    def read() -> None:
        for _ in range(200):
            with lock.shared():
                seen.append(inside + 1)

    threads = [threading.Thread(target=target) for target in (write, read, write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 800


def test_newcomers_let_a_waiting_writer_pass() -> None:
    lock = SharedLock()
    order: list[str] = []
    writer = threading.Thread(target=lambda: write())
    reader = threading.Thread(target=lambda: read())

    def write() -> None:
        with lock.alone():
            order.append("alone")

    def read() -> None:
        with lock.shared():
            order.append("shared")

    with lock.shared():
        writer.start()
        while not lock._waiting:
            pass
        reader.start()
    writer.join()
    reader.join()
    assert order == ["alone", "shared"]


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_it_is_given_back_when_something_fails(kind: str) -> None:
    lock = SharedLock()
    with pytest.raises(ZeroDivisionError), getattr(lock, kind)():
        raise ZeroDivisionError
    with lock.alone():
        assert lock._alone
    assert not lock._alone
