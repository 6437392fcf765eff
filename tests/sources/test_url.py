from __future__ import annotations

import base64

import pytest

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Digest, Model
from luci_dl.net.origin import is_loopback
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.selection import FileSelection
from luci_dl.sources.url import parse_address, refuse_unproved_http, resolve
from luci_dl.text import distinct_address

SHA = "a1" * 32


def model_at(address: str, output: str | None = None) -> Model:
    return resolve(address, FileSelection(output=output), ResolveContext())


@pytest.mark.parametrize(
    ("address", "name", "url"),
    [
        ("https://h/a.gguf", "a.gguf", "https://h/a.gguf"),
        ("HTTPS://H.Example/x/a.gguf", "a.gguf", "https://h.example/x/a.gguf"),
        ("https://h:8443/a.gguf?token=1&v=%2F", "a.gguf", "https://h:8443/a.gguf?token=1&v=%2F"),
        ("https://h/my%20model.gguf", "my model.gguf", "https://h/my%20model.gguf"),
        ("https://h/100%.gguf", "100%.gguf", "https://h/100%25.gguf"),
        ("https://exämple.org/mödel.gguf", "mödel.gguf", "https://xn--exmple-cua.org/m%C3%B6del.gguf"),
        ("https://h/a<b>.gguf", "a<b>.gguf", "https://h/a%3Cb%3E.gguf"),
        ("http://[::1]:80/a.gguf", "a.gguf", "http://[::1]:80/a.gguf"),
        ("https://h/group%2Frepo/a.gguf", "a.gguf", "https://h/group%2Frepo/a.gguf"),
        (
            "https://huggingface.co/OWNER/REPO/blob/main/sub/a.gguf",
            "a.gguf",
            "https://huggingface.co/OWNER/REPO/resolve/main/sub/a.gguf",
        ),
        (
            "https://huggingface.co/OWNER/REPO/resolve/main/a.gguf?download=true",
            "a.gguf",
            "https://huggingface.co/OWNER/REPO/resolve/main/a.gguf",
        ),
        ("https://h/?file=a.gguf", "a.gguf", "https://h/?file=a.gguf"),
        ("https://h/get.php?id=5&filename=a.gguf", "a.gguf", "https://h/get.php?id=5&filename=a.gguf"),
        ("https://h/repo?Revision=v1&FilePath=q/a.gguf", "a.gguf", "https://h/repo?Revision=v1&FilePath=q/a.gguf"),
        (
            "https://s3.example/5f3a?response-content-disposition=attachment%3B%20filename%3D%22a.gguf%22&sig=x",
            "a.gguf",
            "https://s3.example/5f3a?response-content-disposition=attachment%3B%20filename%3D%22a.gguf%22&sig=x",
        ),
        ("https://h/a.gguf?file=b.gguf", "a.gguf", "https://h/a.gguf?file=b.gguf"),
        ("https://h/OWNER/REPO/blob/main/a.gguf", "a.gguf", "https://h/OWNER/REPO/blob/main/a.gguf"),
    ],
)
def test_an_address_becomes_a_model_of_one_file(address: str, name: str, url: str) -> None:
    """The file has the last name of the address, or that in its query, and the address is ASCII."""
    model = model_at(address)
    assert model.reference == distinct_address(url)
    assert [(artifact.name, artifact.urls) for artifact in model.artifacts] == [(name, (url,))]


@pytest.mark.parametrize("fragment", [f"sha256={SHA}", f"sha256={SHA.upper()}", f"SHA256={SHA}"])
def test_a_digest_in_the_fragment_is_used(fragment: str) -> None:
    """It becomes the digest of the file, in lower case, and is removed from the address."""
    address = parse_address(f"https://h/a.gguf#{fragment}")
    assert address.sha256 == SHA
    assert address.url == "https://h/a.gguf"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://h", "no file name"),
        ("https://h/", "no file name"),
        ("https://h/models/", "no file name"),
        ("https://h/?file=..", "no file name"),
        ("https://h/..", '".."'),
        ("https://h/x/../a.gguf", '".."'),
        ("https://h/%2e%2e/a.gguf", '".."'),
        ("https://h/..%2fa.gguf", '".."'),
        ("https://h/x%2fa.gguf", "%2f"),
        ("https://h/x%5Ca.gguf", "backslash"),
        ("https://h/x\\a.gguf", "backslash"),
        ("https://h/a%00.gguf", "control character"),
        ("https://h/a\0.gguf", "control character"),
        ("https://h/a%0d%0aX: 1.gguf", "control character"),
        ("https://h/a\r\n.gguf", "control character"),
        ("https://h/a%1b[31m.gguf", "control character"),
        ("https://h/a%C2%9B.gguf", "control character"),
        ("https://h/a.gguf?x=%0a", "control character"),
        ("https://h/a\u202eb.gguf", "control character"),
        ("https://h/a%E2%80%AEb.gguf", "invisible"),
        ("https://h/a b.gguf", "space"),
        ("https://h/a.gguf ", "space"),
        ("https://h/%ff.gguf", "not UTF-8"),
        ("https://h/.a.gguf", "dot"),
        ("https://h/-a.gguf", "dash"),
        ("https://h/a.gguf.part", ".part"),
        ("https:///a.gguf", "bad host or port"),
        ("https://:80/a.gguf", "bad host or port"),
        ("https://h:x/a.gguf", "bad host or port"),
        ("https://h:0/a.gguf", "bad host or port"),
        ("https://h:65536/a.gguf", "bad host or port"),
        ("https://h..h/a.gguf", "bad host or port"),
        ("https://h<h/a.gguf", "bad host or port"),
        (f"https://{'h' * 64}/a.gguf", "bad host or port"),
        (f"https://{'ä' * 64}/a.gguf", "bad host or port"),
        ("https://[::1/a.gguf", "bad host or port"),
        ("https://[x]/a.gguf", "bad host or port"),
        ("ftp://h/a.gguf", "https://"),
        ("file:///a.gguf", "https://"),
        ("https://h/a.gguf#sha256=ab", "64 hex digits, found 2"),
        ("https://h/a.gguf#sha256=" + "g" * 64, 'found the character "g"'),
        ("https://h/a.gguf#sha256:" + SHA, "#sha256="),
        ("https://h/a.gguf#sha1=" + SHA[:40], "#sha256="),
        ("https://h/a.gguf#" + SHA, "#sha256="),
    ],
)
def test_an_invalid_address_is_refused(address: str, problem: str) -> None:
    """The message says what is wrong, and is safe to print."""
    with pytest.raises(UsageError) as caught:
        model_at(address)
    assert problem in caught.value.message
    assert caught.value.message.isprintable()


def test_an_address_without_a_file_name_needs_one() -> None:
    """Given with -o."""
    assert model_at("https://h/", "a.gguf").artifacts[0].name == "a.gguf"


@pytest.mark.parametrize(
    ("userinfo", "pair"), [("me:se%40cret", "me:se@cret"), ("me", "me:"), (":secret", ":secret"), ("mé:ö", "mé:ö")]
)
def test_credentials_move_into_a_header(userinfo: str, pair: str) -> None:
    """They are removed from everything else."""
    model = model_at(f"https://{userinfo}@h/a.gguf")
    artifact = model.artifacts[0]
    assert artifact.headers == {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    assert model.reference == "https://h/a.gguf"
    assert artifact.urls == ("https://h/a.gguf",)


def test_an_address_without_credentials_has_no_headers() -> None:
    """An empty user name does not count."""
    assert model_at("https://@h/a.gguf").artifacts[0].headers == {}


@pytest.mark.parametrize(
    "address",
    [
        "https://me:secret@h/..",
        "https://me:secret@h/%2f",
        "https://me:secret@h/a b",
        "https://me:secret@h:x/a.gguf",
        "https://me:secret@/a.gguf",
        "https://me:/secret@h/a.gguf",
        "https://me:x/secret@h/a.gguf",
        "https://me:secret@h/a.gguf#md5=1",
        "https://me:secret@h/",
        "ftp://me:secret@h/a.gguf",
    ],
)
def test_no_message_shows_a_password(address: str) -> None:
    """However malformed the address is."""
    with pytest.raises(UsageError) as caught:
        model_at(address)
    assert "secret" not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("[::1]", True),
        ("", False),
        ("localhost.example.org", False),
        ("notlocalhost", False),
        ("127.0.0.1.example.org", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("::2", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    """Similar names are not."""
    assert is_loopback(host) is expected


def test_plain_http_needs_a_digest() -> None:
    """One plain address among several is enough to refuse."""
    with pytest.raises(UsageError, match="plain http") as caught:
        refuse_unproved_http(Artifact("a.gguf", ("https://h/a.gguf", "http://h/a.gguf")))
    assert "--sha256" in caught.value.hint
    assert "--unverified" in caught.value.hint


@pytest.mark.parametrize(
    "artifact",
    [
        Artifact("a.gguf", ("https://h/a.gguf",)),
        Artifact("a.gguf", ("http://h/a.gguf",), sha256=SHA),
        Artifact("a.gguf", ("http://h/a.gguf",), digests={Digest.LFS_POINTER: "ab" * 20}),
        Artifact("a.gguf", ("http://127.0.0.1:80/a.gguf",)),
        Artifact("a.gguf", ("http://[::1]/a.gguf",)),
    ],
)
def test_plain_http_is_allowed_with_a_digest_or_on_this_machine(artifact: Artifact) -> None:
    """https, a digest or a server on this machine is enough."""
    refuse_unproved_http(artifact)
