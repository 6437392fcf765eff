"""Tokens of registries: where they come from, how often they are fetched, and where they are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from luci_dl.errors import NetworkError, ResolveError
from luci_dl.net.bearer import Tokens
from luci_dl.net.client import Client
from luci_dl.net.document import Document
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, Remedy
from tests.net.asking import DATA, SITUATION, whole
from tests.procs import wait_until
from tests.servers import FaultyServer, faults
from tests.servers.registry import MODEL, Registry, digest_of

AT_HOME = "http://127.0.0.1:5000/v2/library/m"
ABROAD = "https://registry.example/v2/library/m"
MANY = 16


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA))
        yield registry


def repository(registry: Registry) -> str:
    return f"{registry.address}/v2/library/m"


def blob(registry: Registry, client: Client) -> bytes:
    """The bytes of the blob, fetched by the client."""
    where = repository(registry)
    response = client.get(RangeRequest(f"{where}/blobs/{digest_of(DATA)}", 0, None, None), SITUATION, {}, where)
    try:
        return whole(response)
    finally:
        response.close()


def test_a_token_is_fetched_once_and_sent_only_to_the_registry(registry: Registry) -> None:
    """Neither the token server nor the host of the bytes gets an Authorization header."""
    client = Client()
    assert [blob(registry, client), blob(registry, client)] == [DATA, DATA]
    assert registry.front.received("authorization") == ["", "Bearer token-1", "Bearer token-1"]
    assert registry.issuer.received("authorization") == [""]
    assert registry.store.received("authorization") == ["", ""]


def test_an_expired_token_is_replaced(registry: Registry) -> None:
    """The refused request gets a new one and succeeds."""
    client = Client()
    blob(registry, client)
    registry.expire()
    assert blob(registry, client) == DATA
    assert registry.front.received("authorization")[-2:] == ["Bearer token-1", "Bearer token-2"]


def test_many_refused_connections_share_one_exchange(registry: Registry) -> None:
    """Sixteen are refused at once, one fetches the token, and all succeed."""
    client = Client()
    registry.on_token = faults.stall_head()
    brought: list[bytes] = []
    threads = [threading.Thread(target=lambda: brought.append(blob(registry, client))) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    wait_until(lambda: [exchange.status for exchange in registry.front.exchanges()].count(401) == MANY)
    registry.issuer.release()
    for thread in threads:
        thread.join()
    assert brought == [DATA] * MANY
    assert registry.tokens == 1


def test_a_failed_exchange_is_tried_again_by_the_next_request(registry: Registry) -> None:
    """An overloaded token server causes a delay, not an error."""
    client = Client()
    registry.on_token = faults.status(503, retry_after=7)
    with pytest.raises(AttemptFailed, match="503") as failed:
        blob(registry, client)
    assert (failed.value.retry_after, failed.value.remedy) == (7, Remedy.FEWER)
    registry.on_token = faults.ok()
    assert blob(registry, client) == DATA


def test_a_login_page_is_no_refusal(registry: Registry) -> None:
    """A network that intercepts the token's request does not make the registry require an account."""
    registry.on_token = faults.status(403, body=b"<html><title>Log in</title>")
    with pytest.raises(NetworkError, match=r'returned a web page \(403, "Log in"\)'):
        blob(registry, Client())


@pytest.mark.parametrize("status", [401, 403])
def test_without_an_anonymous_token_an_account_is_required(registry: Registry, status: int) -> None:
    """There is one request only."""
    registry.on_token = faults.status(status)
    with pytest.raises(ResolveError, match="requires an account"):
        blob(registry, Client())
    assert len(registry.front.exchanges()) == 1


def test_a_token_that_is_refused_is_sent_once(registry: Registry) -> None:
    """Private repositories give such tokens to anonymous clients."""
    registry.private.add("library/m")
    with pytest.raises(ResolveError, match="requires an account"):
        blob(registry, Client())
    assert registry.front.received("authorization") == ["", "Bearer token-1"]


def test_a_challenge_of_any_other_server_is_ignored(registry: Registry, server: FaultyServer) -> None:
    """Only a registry may ask for a token: no plain address, and not the host of the bytes."""
    challenge = f'Bearer realm="{registry.issuer.url("/token")}",scope="x"'
    asking = faults.status(401) + faults.headers(WWW_Authenticate=challenge)
    with pytest.raises(ResolveError):
        Client().get(RangeRequest(server.serve("/m.gguf", faults=[asking]), 0, None, plain=True), SITUATION, {})
    assert registry.issuer.exchanges() == []
    registry.on_blob = [asking]
    with pytest.raises(AttemptFailed):
        blob(registry, Client())
    assert registry.tokens == 1


def test_the_token_does_not_go_to_a_mirror(registry: Registry, server: FaultyServer) -> None:
    """Another host gets an ordinary request."""
    client = Client()
    blob(registry, client)
    request = RangeRequest(server.serve("/m.gguf", DATA), 0, None, None)
    client.get(request, SITUATION, {}, repository(registry)).close()
    assert "authorization" not in server.exchanges()[0].headers


# --- what a challenge may contain


class Issuer:
    """Returns `answer` to every request, and remembers the addresses."""

    def __init__(self, answer: bytes = b'{"token": "t"}') -> None:
        self.asked: list[str] = []
        self._answer = answer

    def __call__(self, url: str) -> Document:
        self.asked.append(url)
        return Document(url, 200, {}, self._answer)


@pytest.mark.parametrize(
    ("challenge", "asked"),
    [
        ('Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('bearer  realm=https, REALM="x"', None),
        (
            'BEARER realm="https://a.example/t",service="s s",scope="a:b/c:pull,push"',
            "?service=s+s&scope=a%3Ab%2Fc%3Apull%2Cpush",
        ),
        ('Bearer realm="https://a.example/t?x=1" , service=s', "https://a.example/t?x=1&service=s"),
        ('Bearer realm="https://a.example/t",error="invalid_token"', "https://a.example/t"),
        ('Bearer realm="http://a.example/t"', None),
        ('Bearer realm="http://127.0.0.1:8000/t"', None),
        ('Bearer realm="ftp://a.example/t"', None),
        ('Bearer realm="file:///etc/passwd"', None),
        ('Bearer realm="/token"', None),
        ('Bearer realm="https://u:p@a.example/t"', None),
        ('Bearer realm="https://a.example:99999/t"', None),
        ('Bearer realm="https://[a/t"', None),
        ('Bearer realm="https://a.example/t#x"', None),
        ('Bearer realm="https://a.example/t x"', None),
        ('Bearer realm="https://a.example/\x1b[2J"', None),
        ('Bearer realm="https://a.example/t",realm="https://b.example/t"', None),
        ('Bearer realm="https://a.example/t",service="a\\"b"', "https://a.example/t?service=a%22b"),
        ("Bearer realm=https://a.example/t,service=a/b:c", "https://a.example/t?service=a%2Fb%3Ac"),
        ("Bearer realm='https://a.example/t';service='s'", "https://a.example/t?service=s"),
        ('NTLM TlRM/w==, Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('Digest qop="auth,auth-int", nonce=x, Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('Bearer, Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('Bearer realm="https://a.example/t', None),
        ('Bearer realm="https://a.example/t",', "https://a.example/t"),
        ('Bearer realm = "https://a.example/t"', "https://a.example/t"),
        ('Bearer realm="https://a.example/t", Basic realm="x"', "https://a.example/t"),
        ('Bearer realm="https://a.example/t",service=s, Negotiate', "https://a.example/t?service=s"),
        ('Basic realm="x", Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('Basic realm="x, Bearer y", charset="UTF-8", Bearer realm="https://a.example/t"', "https://a.example/t"),
        ('Negotiate YWJj==,Bearer realm="https://a.example/t",scope="a:b:c"', "https://a.example/t?scope=a%3Ab%3Ac"),
        ('Basic realm="x", Bearer realm="https://a.example/t", realm="https://b.example/t"', None),
        ('Basic realm="x", Bearer realm="https://a.example/t', None),
        ("Bearer " + "a=b," * 50_000 + "a=b", None),
        ('Bearer realm="' + "a" * 100_000, None),
        ("Bearer", None),
        ("Bearer realm", None),
    ],
)
def test_a_challenge_is_well_formed_or_refused(challenge: str, asked: str | None) -> None:
    """A token is fetched over https, from the address in one well-formed challenge."""
    issuer = Issuer()
    tokens = Tokens(issuer)
    if asked is None:
        with pytest.raises(NetworkError, match=r"registry\.example"):
            tokens.renew(ABROAD, [challenge], None)
        assert issuer.asked == []
    else:
        assert tokens.renew(ABROAD, [challenge], None) == tokens.get(ABROAD) == "t"
        assert len(issuer.asked) == 1
        assert issuer.asked[0].endswith(asked)


def test_a_registry_on_this_machine_may_use_plain_http_for_tokens() -> None:
    """Plain http that never leaves the machine is as safe as https."""
    issuer = Issuer()
    assert Tokens(issuer).renew(AT_HOME, ['Bearer realm="http://localhost:5001/t"'], None) == "t"


def test_a_registry_that_is_asked_in_plain_http_may_use_it_for_tokens() -> None:
    """The anonymous token is no safer than what it is for. But no other machine names a place on this one."""
    there = ABROAD.replace("https", "http")
    assert Tokens(Issuer()).renew(there, ['Bearer realm="http://registry.example/t"'], None) == "t"
    for repository, realm in ((there, "http://127.0.0.1/t"), (ABROAD, "http://registry.example/t")):
        with pytest.raises(NetworkError, match="plain http"):
            Tokens(Issuer()).renew(repository, [f'Bearer realm="{realm}"'], None)


@pytest.mark.parametrize("challenges", [[], [""], ['Basic realm="x, bearer"'], ["Negotiate", 'Digest realm="x"']])
def test_a_registry_that_wants_a_password_gets_none(challenges: list[str]) -> None:
    """There is no token server to ask."""
    assert Tokens(Issuer()).renew(ABROAD, challenges, None) is None


def test_the_bearer_challenge_is_found_among_others() -> None:
    """Some registries offer two schemes."""
    challenges = ['Basic realm="x"', 'Bearer realm="https://a.example/t"']
    assert Tokens(Issuer()).renew(ABROAD, challenges, None) == "t"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 1}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": "\xc3\xa9"}',
        b'{"token": "' + b"a" * 20_000 + b'"}',
        b"[" * 100_000,
    ],
)
def test_an_invalid_token_is_not_used(answer: bytes) -> None:
    """The message does not show it."""
    with pytest.raises(NetworkError) as failed:
        Tokens(Issuer(answer)).renew(ABROAD, ['Bearer realm="https://a.example/t"'], None)
    assert "Evil" not in str(failed.value)


def test_an_access_token_is_a_token() -> None:
    """Some servers use OAuth's name for it."""
    issuer = Issuer(b'{"access_token": "abc.d-e_f~+/=="}')
    assert Tokens(issuer).renew(ABROAD, ['Bearer realm="https://a.example/t"'], None) == "abc.d-e_f~+/=="


def test_tokens_of_two_repositories_are_not_mixed() -> None:
    """A token is for one repository."""
    tokens = Tokens(Issuer())
    tokens.renew(ABROAD, ['Bearer realm="https://a.example/t"'], None)
    assert tokens.get(f"{ABROAD}2") is None
