"""A server that cannot be reached: who is asked in its place, and what the user reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luci_dl.errors import LuciError, NetworkError, NotFound
from luci_dl.events import Event, Warned
from luci_dl.net.network import Network
from luci_dl.sources.away import AWAY_S
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints

HUB, MIRROR, LAN, OTHER = "https://hub.example", "https://mirror.example", "http://lab:8480", "http://lab2:8480"
DOWN = NetworkError("no answer")


class Servers:
    """Answers with an error or its own address; notes who was asked, and how patiently."""

    def __init__(self, **wrong: LuciError) -> None:
        self.asked: list[str] = []
        self.patience: list[float | None] = []
        self._wrong = wrong

    def __call__(self, context: ResolveContext, base: str) -> str:
        assert context.retries == (10 if context.patience is None else 1)
        self.asked.append(base)
        self.patience.append(context.patience)
        name = base.partition("://")[2].partition(".")[0].partition(":")[0]
        if name in self._wrong:
            raise self._wrong[name]
        return base


@pytest.fixture
def asking() -> Callable[..., tuple[str, list[str]]]:
    """Asks; returns the answer and the warnings."""
    network = Network()

    def ask_them(servers: Servers, mirrors: tuple[str, ...] = (), lan: tuple[str, ...] = (LAN, OTHER)) -> object:
        events: list[Event] = []
        context = ResolveContext(network, Endpoints(lan=lan), emit=events.append)
        found = context.ask(HUB, mirrors, "it is", servers)
        return found, [event.message for event in events if isinstance(event, Warned)]

    return ask_them  # type: ignore[return-value]


Ask = Callable[..., tuple[str, list[str]]]


def test_one_that_answers_is_asked_alone(asking: Ask) -> None:
    """With less patience where there are others."""
    servers = Servers()
    assert asking(servers) == (HUB, [])
    assert (servers.asked, servers.patience) == ([HUB], [AWAY_S])


def test_the_mirrors_come_before_the_lan(asking: Ask) -> None:
    """The first that answers ends it, and the user reads whose word it is."""
    servers = Servers(hub=DOWN, mirror=DOWN, lab=NotFound("nothing"))
    assert asking(servers, (MIRROR,)) == (OTHER, [f"no answer; it is known only from {OTHER}"])
    assert servers.asked == [HUB, MIRROR, LAN, OTHER]


def test_a_refusal_of_its_own_is_final(asking: Ask) -> None:
    """Nobody else is asked."""
    servers = Servers(hub=NotFound("no such thing"))
    with pytest.raises(NotFound):
        asking(servers)
    assert servers.asked == [HUB]


def test_one_that_was_away_is_asked_last(asking: Ask) -> None:
    """So that not every document waits for it."""
    asking(Servers(hub=DOWN))
    servers = Servers(lab=DOWN, lab2=DOWN)
    assert asking(servers) == (HUB, [])
    assert servers.asked == [LAN, OTHER, HUB]
    again = Servers()
    assert asking(again)[0] == HUB
    assert again.asked == [HUB]


def test_all_reasons_are_said(asking: Ask) -> None:
    """If nobody answers."""
    with pytest.raises(NetworkError, match="no answer\nno answer\nhttp://lab:8480: nothing"):
        asking(Servers(hub=DOWN, mirror=DOWN, lab=NotFound("nothing"), lab2=DOWN), (MIRROR,))


def test_with_the_lan_alone_beside_it_it_gets_all_its_retries(asking: Ask) -> None:
    """Once more, when the LAN has no answer either."""
    servers = Servers(hub=DOWN, lab=DOWN, lab2=NotFound("nothing"))
    with pytest.raises(NetworkError, match="no answer"):
        asking(servers)
    assert servers.asked == [HUB, LAN, OTHER, HUB]
    assert servers.patience[-1] is None
