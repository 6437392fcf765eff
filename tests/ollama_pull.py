"""`ollama pull`, by the rules in its source (`server/images.go`, `server/download.go`; 2026): it cannot be run here."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from tests.ollama_rules import blob

PARTS = 16
TRIES = 6
PAUSE_S = 0.05
"""Before the second of them, then twice as long each time; Ollama waits a second."""
_ACCEPT = {"Accept": "application/vnd.docker.distribution.manifest.v2+json", "User-Agent": "ollama/0.12 (amd64 linux)"}


class DigestMismatchError(Exception):
    """What came is not what the manifest named; Ollama has removed it."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def pull(root: Path, address: str, name: str, tag: str = "latest", least: int = 100_000_000) -> bytes:
    """`ollama pull --insecure HOST:PORT/NAME:TAG` into the models folder `root`.

    Args:
        least: bytes of a part.

    Returns: the manifest. Raises: DigestMismatchError; OSError, when the server does not give it all.
    """
    base = f"{address}/v2/{name}"
    answer = _ask("GET", f"{base}/manifests/{tag}", _ACCEPT)
    if answer.status != 200:
        raise OSError(f"pull model manifest: {answer.status}: {answer.body.decode()}")
    facts = json.loads(answer.body)
    layers = [*facts["layers"], facts["config"]]
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    for layer in layers:
        path = blob(root, layer["digest"])
        if not path.exists():
            _download(path, f"{base}/blobs/{layer['digest']}", least)
    for layer in layers:
        path = blob(root, layer["digest"])
        if f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" != layer["digest"]:
            path.unlink()
            raise DigestMismatchError(layer["digest"])
    place = root / "manifests" / urlsplit(address).netloc / name / tag
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(answer.body)
    return answer.body


def _download(path: Path, url: str, least: int) -> None:
    """Its size by HEAD, its direct address by a GET that is not read, and then its parts side by side."""
    total = int(_ask("HEAD", url, _ACCEPT).headers["content-length"])
    found = _ask("GET", url, _ACCEPT, at_most=0)
    if found.status not in (200, 307):
        raise OSError(f"unexpected status code {found.status}: {found.body.decode(errors='replace')}")
    if "location" not in found.headers:
        raise OSError("http: no Location header in response")
    direct, size = urljoin(url, found.headers["location"]), min(max(total // PARTS, least), 1_000_000_000)
    partial = path.with_name(f"{path.name}-partial")
    with partial.open("wb") as file:
        file.truncate(total)
    with ThreadPoolExecutor(PARTS) as pool:
        parts = [(start, min(size, total - start)) for start in range(0, total, size)]
        for done in [pool.submit(_part, partial, direct, start, count) for start, count in parts]:
            done.result()
    partial.rename(path)


def _part(partial: Path, url: str, start: int, count: int) -> None:
    """So many bytes of the body, whatever the status; what is missing is asked for again."""
    done = 0
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * (2**attempt - 1))
        given = {"Range": f"bytes={start + done}-{start + count - 1}", "User-Agent": "Go-http-client/1.1"}
        try:
            answer = _ask("GET", url, given, at_most=count - done)
        except ConnectionError:
            continue
        with partial.open("r+b") as file:
            file.seek(start + done)
            file.write(answer.body)
        done += len(answer.body)
        if done == count:
            return
    raise OSError("max retries exceeded: unexpected EOF")


def _ask(method: str, url: str, headers: dict[str, str], at_most: int | None = None) -> _Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}{'?' if parts.query else ''}{parts.query}", headers=headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return _Answer(response.status, found, _body(response, at_most))
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, at_most: int | None) -> bytes:
    """What comes of it before the connection ends."""
    try:
        return response.read() if at_most is None or response.status >= 300 else response.read(at_most)
    except http.client.IncompleteRead as short:
        return short.partial
    except ConnectionError:
        return b""
