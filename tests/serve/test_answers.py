"""Questions are asked once for all who wait, and their answers are used on while the server is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.errors import NetworkError, ResolveError
from luci_dl.serve import answers
from luci_dl.serve.answers import FOREVER, Answers, Refused
from luci_dl.serve.kept import Kept


class Server:
    """Says what is next in `says`, the last of it again and again; an error is raised."""

    def __init__(self, *says: bytes | Exception) -> None:
        self.says = list(says)
        self.asked = 0

    def __call__(self) -> bytes:
        self.asked += 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said


def refusal() -> Refused:
    return Refused("no", 404, {"X-Error-Code": "RepoNotFound"}, b"{}")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "kept", 1 << 20)


def made(kept: Kept) -> Answers:
    return Answers(kept, asyncio.to_thread)


def test_an_answer_holds_for_its_time(kept: Kept) -> None:
    """After that it is asked for again; what never changes is not, in the next process neither."""
    server, fixed = Server(b"1", b"2"), Server(b"f")

    async def run() -> list[bytes]:
        known, found = made(kept), list[bytes]()
        for hold in (60.0, 60.0):
            found.append(await known.get("a", server, bytes, hold))
        for again in (known, made(kept)):
            found.append(await again.get("b", fixed, bytes, FOREVER))
        found.append(await made(kept).get("a", server, bytes, 60.0))
        found += [await known.get("c", server, bytes, 0.0), await known.get("c", server, bytes, 0.0)]
        return found

    assert asyncio.run(run()) == [b"1", b"1", b"f", b"f", b"2", b"2", b"2"]
    assert (server.asked, fixed.asked) == (4, 1)


def test_many_who_ask_at_once_are_one_question(kept: Kept) -> None:
    """It goes on when the first of them leaves; all get the error, too."""

    async def run(server: Callable[[], bytes], key: str) -> list[object]:
        known = made(kept)
        waiting = [asyncio.create_task(known.get(key, server, bytes, 60.0)) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        return await asyncio.gather(*waiting[1:], return_exceptions=True)

    server, bad = Server(b"1"), Server(ResolveError("no"))
    assert asyncio.run(run(server, "a")) == [b"1"] * 9
    assert all(isinstance(found, ResolveError) for found in asyncio.run(run(bad, "b")))
    assert (server.asked, bad.asked) == (1, 1)


def test_what_is_known_is_used_while_the_server_is_away(kept: Kept) -> None:
    """It is asked again after a minute; what is not known is asked for at once, and so found to be back."""
    server = Server(b"1", NetworkError("gone"), NetworkError("gone"), b"2")

    async def run() -> list[object]:
        known, found = made(kept), list[object]()
        found.append(known.state)
        found += [await known.get("a", server, bytes, 0.0) for _ in range(3)]
        found += [known.state, server.asked]
        with pytest.raises(NetworkError, match="gone"):
            await known.get("b", Server(NetworkError("gone")), bytes, 0.0)
        assert await known.get("b", Server(b"back"), bytes, 0.0) == b"back"
        found += [known.state, await known.get("a", server, bytes, 0.0)]
        return found

    assert asyncio.run(run()) == ["unasked", b"1", b"1", b"1", "away", 3, "ok", b"2"]


def test_a_lost_connection_is_not_yet_a_server_that_is_away(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once more, if it was not silent for long."""
    server, silent = Server(NetworkError("lost"), b"1"), Server(NetworkError("silent"), b"1")

    async def run() -> tuple[bytes, str]:
        known = made(kept)
        found = await known.get("a", server, bytes, 0.0), known.state
        monkeypatch.setattr(answers, "AT_ONCE_S", -1.0)
        with pytest.raises(NetworkError):
            await known.get("b", silent, bytes, 0.0)
        return found

    assert asyncio.run(run()) == (b"1", "ok")
    assert silent.asked == 1


def test_a_slow_server_holds_up_nobody_who_can_have_the_old_answer(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client waits a moment, the others do not; the new one is used as soon as it is there."""
    monkeypatch.setattr(answers, "STALE_AFTER_S", 0.05)

    kept.write("a", b"1")
    kept.write("b", b"1")
    go = threading.Event()

    def fetch() -> bytes:
        go.wait(10)
        return b"2"

    async def run() -> None:
        known = made(kept)
        assert await known.get("a", fetch, bytes, 60.0) == b"1"
        monkeypatch.setattr(answers, "STALE_AFTER_S", 100.0)
        assert (await known.get("b", fetch, bytes, 60.0), known.state) == (b"1", "away")
        go.set()
        while known._running:
            await asyncio.sleep(0.01)
        assert await known.get("a", Server(NetworkError("gone")), bytes, 60.0) == b"2"
        assert known.state == "ok"

    asyncio.run(run())


def test_a_refusal_counts_more_than_what_was_known(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a short time it is the answer without asking; what was kept is removed."""
    server = Server(b"1", refusal(), b"2")

    async def run() -> None:
        known = made(kept)
        assert await known.get("a", server, bytes, 0.0) == b"1"
        for _ in range(3):
            with pytest.raises(Refused):
                await known.get("a", server, bytes, 0.0)
        assert (server.asked, known.state, kept.read("a")) == (2, "ok", None)
        monkeypatch.setattr(answers, "REFUSED_S", 0.0)
        with pytest.raises(Refused):
            await known.get("b", Server(refusal()), bytes, 0.0)
        assert await known.get("b", server, bytes, 0.0) == b"2"

    asyncio.run(run())


def test_what_is_not_to_be_kept_is_not_used_while_the_server_is_away(kept: Kept) -> None:
    """Nor is it written to disk."""
    server = Server(b"1", NetworkError("gone"))

    async def run() -> None:
        known = made(kept)
        assert await known.get("a", server, bytes, 0.0, keep=False) == b"1"
        with pytest.raises(NetworkError):
            await known.get("a", server, bytes, 0.0, keep=False)

    asyncio.run(run())
    assert kept.read("a") is None


def test_what_is_kept_but_means_nothing_is_asked_for_again(kept: Kept) -> None:
    kept.write("a", b"damaged")

    def read(data: bytes) -> bytes:
        if data == b"damaged":
            raise ResolveError("damaged")
        return data

    async def run() -> bytes:
        return await made(kept).get("a", Server(b"1"), read, FOREVER)

    assert asyncio.run(run()) == b"1"


def test_a_full_disk_loses_nothing_but_the_memory_of_it(tmp_path: Path) -> None:
    """The answer is given all the same."""
    (tmp_path / "kept").write_text("a file")

    async def run() -> bytes:
        return await made(Kept(tmp_path / "kept", 1 << 20)).get("a", Server(b"1"), bytes, FOREVER)

    assert asyncio.run(run()) == b"1"


def test_memory_is_bounded(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has forgotten is read from disk."""
    monkeypatch.setattr(answers, "MAX_MEMORY", 3 << 10)
    servers = [Server(bytes([number])) for number in range(10)]

    async def run() -> None:
        known = made(kept)
        for _ in range(2):
            for number, server in enumerate(servers):
                assert await known.get(str(number), server, bytes, FOREVER) == bytes([number])
        assert len(known._known) == 3

    asyncio.run(run())
    assert [server.asked for server in servers] == [1] * 10
