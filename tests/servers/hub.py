"""A Hub as the real one answers, on the loopback, with its files on another host. The real client downloads from it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote

from tests.servers.honest import File, Request, answer

BLOCK = 1 << 16


@dataclass
class Repo:
    """A repository.

    Attributes:
        revisions: by branch, tag or commit: the files, by path. Files of `lfs_from` bytes and more are LFS files.
        gated, private: for those whose token is in the Hub's `tokens`.
        entries: added to the listing as they are, whatever they say.
        swapped: by path: what is sent where the listing speaks of another file.
    """

    revisions: dict[str, dict[str, bytes]]
    lfs_from: int = 1000
    gated: bool = False
    private: bool = False
    disabled: bool = False
    entries: list[object] = field(default_factory=list)
    swapped: dict[str, bytes] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        """What the revision means now; None when there is no such thing."""
        by_commit = {_commit(files): name for name, files in self.revisions.items()}
        if revision in by_commit:
            return revision
        return _commit(self.revisions[revision]) if revision in self.revisions else None

    def files(self, revision: str) -> dict[str, bytes]:
        return next(files for name, files in self.revisions.items() if revision in (name, _commit(files)))


@dataclass(frozen=True)
class Seen:
    """One request that reached one of the hosts; the names of `headers` are in lower case."""

    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    status: int


@dataclass
class _Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""


class Hub:
    """Answers at `endpoint` until closed; also a context manager. The files' host calls itself `store`.

    Attributes:
        repos: by OWNER/REPO; renamed: the new name by the old one.
        tokens: those that open what is gated or private.
        page: entries of one page of a listing.
        uses: of one signed address, after which it has expired; None: it never does.
        rate: of the files' host, in bytes a second, until `release`; None for as fast as it goes.
        stalled: set once a listing waits for `release`, which it does when `stall` is set.
        down: the interface answers 503.
        gone: nobody gets an answer, on old connections neither.
        xet: the files are in the Hub's own store, too, which its client asks as soon as it is named. It has nothing.
    """

    def __init__(self, address: str = "127.0.0.1", store: str = "localhost") -> None:
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.page = 1000
        self.uses: int | None = None
        self.rate: float | None = None
        self.stall = self.down = self.gone = self.xet = False
        self.stalled, self.release = threading.Event(), threading.Event()
        self._seen: list[Seen] = []
        self._signed: dict[str, tuple[bytes, int]] = {}
        self._lock = threading.Lock()
        self._front = _serve(self, "hub", address, self._at_front)
        self._store = _serve(self, "store", address, self._at_store)
        self.endpoint = f"http://{address}:{self._front.server_port}"
        self.store = f"http://{store}:{self._store.server_port}"

    def add(self, name: str, files: Mapping[str, bytes], **more: object) -> Repo:
        """A repository with these files on its main branch."""
        self.repos[name] = Repo({"main": dict(files)}, **more)  # type: ignore[arg-type]
        return self.repos[name]

    def seen(self, host: str = "") -> list[Seen]:
        """The requests so far, oldest first; `host` limits it to the "hub" or the "store"."""
        with self._lock:
            return [seen for seen in self._seen if host in ("", seen.host)]

    def close(self) -> None:
        self.gone = True
        self.release.set()
        for server in (self._front, self._store):
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def note(self, host: str, request: Request, status: int) -> None:
        with self._lock:
            self._seen.append(Seen(host, request.method, request.target, request.headers, status))

    # --- the Hub itself

    def _at_front(self, request: Request) -> _Answer:
        path, _, query = request.target.partition("?")
        found = re.fullmatch(r"/(?P<api>api/models/)?(?P<repo>[^/]+/[^/]+)(?P<rest>/.*)?", path)
        if found is None:
            return _Answer(404)
        if found["api"] and self.stall:
            self.stalled.set()
            self.release.wait(30)
        if found["api"] and self.down:
            return _Answer(503)
        name, rest = found["repo"], found["rest"] or ""
        now = self.renamed.get(name) or next(
            (known for known in self.repos if known.casefold() == name.casefold()), name
        )
        if now != name:
            return _Answer(307, {"Location": f"/{found['api'] or ''}{now}{rest}" + (f"?{query}" if query else "")})
        knows = request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens
        repo = self.repos.get(name)
        if "authorization" in request.headers and not knows:
            return _error(401, None, "Invalid credentials in Authorization header")
        if repo is None or (repo.private and not knows):
            return _error(404 if knows else 401, "RepoNotFound", "Repository not found")
        if repo.disabled:
            return _error(403, None, "Access to this resource is disabled.")
        if found["api"]:
            return self._interface(name, repo, rest, query)
        if repo.gated and not knows:
            return _error(401, "GatedRepo", f"Access to model {name} is restricted.")
        return self._resolve(repo, rest)

    def _interface(self, name: str, repo: Repo, rest: str, query: str) -> _Answer:
        kind, _, behind = rest.strip("/").partition("/")
        if kind == "refs":
            branches = [
                {"name": revision, "ref": f"refs/heads/{revision}", "targetCommit": repo.commit(revision)}
                for revision in repo.revisions
            ]
            return _json({"branches": branches, "tags": [], "converts": []})
        revision = unquote(behind.partition("/")[0]) if kind else "main"
        commit = repo.commit(revision)
        if commit is None:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if kind in ("", "revision"):
            siblings = [{"rfilename": path} for path in repo.files(commit)]
            facts = {"private": repo.private, "gated": "auto" if repo.gated else False, "disabled": False}
            return _json({"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": [], **facts})
        return self._tree(repo, commit, rest, query)

    def _tree(self, repo: Repo, commit: str, rest: str, query: str) -> _Answer:
        """One page; its Link leads to the next."""
        entries = [*_entries(repo, commit, xet=self.xet), *repo.entries]
        start = int(parse_qs(query).get("cursor", ["0"])[0])
        name = next(name for name, known in self.repos.items() if known is repo)
        page = _json(entries[start : start + self.page])
        if start + self.page < len(entries):
            there = f"{self.endpoint}/api/models/{name}{rest}?recursive=true&cursor={start + self.page}"
            page.headers["Link"] = f'<{there}>; rel="next"'
        return page

    def _resolve(self, repo: Repo, rest: str) -> _Answer:
        _, kind, revision, path = (*rest.split("/", 3), "", "", "")[:4]
        commit, path = repo.commit(unquote(revision)), unquote(path)
        if kind != "resolve" or commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        data = repo.files(commit).get(path)
        if data is None:
            return _error(404, "EntryNotFound", "Entry not found")
        sent = repo.swapped.get(path, data)
        if len(data) < repo.lfs_from:
            return _Answer(200, {"X-Repo-Commit": commit, "ETag": f'"{blob_sha1(data)}"'}, sent)
        digest = _sha256(data)
        with self._lock:
            ticket = f"/{digest}?signature={len(self._signed)}"
            self._signed[ticket] = sent, 0
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": commit}
        if self.xet:
            linked |= _xet_headers(self.endpoint, commit, data)
        return _Answer(302, {"Location": self.store + ticket, **linked})

    # --- where the files are

    def _at_store(self, request: Request) -> _Answer:
        """A store of signed addresses takes one proof of who asks, and refuses two, as S3 does."""
        if "authorization" in request.headers:
            return _Answer(400)
        with self._lock:
            data, uses = self._signed.get(request.target, (None, 0))
            if data is None or (self.uses is not None and uses >= self.uses):
                return _Answer(403)
            if request.method == "GET":
                self._signed[request.target] = data, uses + 1
        honest = answer(request, File.of(data))
        return _Answer(honest.status, dict(honest.headers), honest.body)


@lru_cache(maxsize=1000)
def blob_sha1(data: bytes) -> str:
    """As git calls it."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1000)
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _commit(files: Mapping[str, bytes]) -> str:
    """Another one for other files."""
    facts = "".join(f"{path} {blob_sha1(data)}\n" for path, data in sorted(files.items()))
    return hashlib.sha1(facts.encode(errors="replace"), usedforsecurity=False).hexdigest()


def _entries(repo: Repo, commit: str, *, xet: bool) -> list[dict[str, object]]:
    files = repo.files(commit)
    folders = {path.rpartition("/")[0] for path in files} - {""}
    entries: list[dict[str, object]] = [
        {"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)
    ]
    for path, data in sorted(files.items()):
        entry: dict[str, object] = {"type": "file", "oid": blob_sha1(data), "size": len(data), "path": path}
        if len(data) >= repo.lfs_from:
            entry["oid"] = "f" * 40  # of the pointer
            entry["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 135}
            if xet:
                entry["xetHash"] = _sha256(b"xet" + data)
        entries.append(entry)
    return entries


def _xet_headers(endpoint: str, commit: str, data: bytes) -> dict[str, str]:
    digest, token = _sha256(b"xet" + data), f"{endpoint}/api/models/me/model/xet-read-token/{commit}"
    link = f'<{token}>; rel="xet-auth", <{endpoint}/v1/reconstructions/{digest}>; rel="xet-reconstruction-info"'
    return {"X-Xet-Hash": digest, "X-Xet-Refresh-Route": token, "Link": link}


def _json(facts: object) -> _Answer:
    return _Answer(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(facts).encode())


def _error(status: int, code: str | None, message: str) -> _Answer:
    named = {"X-Error-Code": code} if code else {}
    return _Answer(status, {**named, "X-Error-Message": message}, json.dumps({"error": message}).encode())


def _serve(hub: Hub, host: str, address: str, decide: Callable[[Request], _Answer]) -> ThreadingHTTPServer:
    """A server with a thread of its own, which answers as `decide` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if hub.gone:
                self.close_connection = True
                return
            request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            found = decide(request)
            hub.note(host, request, found.status)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command == "GET":
                self._send(memoryview(found.body), hub.rate if host == "store" else None)

        do_HEAD = do_GET

        def _send(self, body: memoryview, rate: float | None) -> None:
            step = BLOCK if rate is None else max(1, int(rate / 20))
            try:
                for start in range(0, len(body), step):
                    self.wfile.write(body[start : start + step])
                    if rate is not None:
                        hub.release.wait(step / rate)
            except OSError:  # the client went away
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), name=f"{host}-server", daemon=True).start()
    return server
