"""The Hub's interface: answered from what the Hub said, and from the files here, never with a way past them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest

import luci_dl
from luci_dl.serve import answers, documents
from tests.procs import wait_until
from tests.serve.lab import Lab, installed_names, open_hub, unfinished
from tests.servers import FaultyServer, faults
from tests.servers.hub import Hub, Repo, blob_sha1

MODEL, OTHER = b"GGUF" + bytes(range(256)) * 2000, b"GGUF" + bytes(3000)
FILES = {"m.gguf": MODEL, "sub/n.gguf": OTHER, "config.json": b'{"a": 1}', "sub/a b/ä+%.txt": b"text", "empty": b""}
NAME, API = "/me/model", "/api/models/me/model"
SHA256 = hashlib.sha256(MODEL).hexdigest()
GOOD = {"Authorization": "Bearer hf_good"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """With Xet, as the real one."""
    with open_hub(monkeypatch) as hub:
        hub.xet = True
        hub.tokens.add("hf_good")
        yield hub


@pytest.fixture
def repo(hub: Hub) -> Repo:
    return hub.add("me/model", FILES)


def requests(hub: Hub) -> list[str]:
    return [f"{seen.method} {seen.target}" for seen in hub.seen("hub")]


def test_documents_say_nothing_of_xet(lab: Lab, repo: Repo) -> None:
    """Its client would ask the Hub's own store as soon as it is named."""
    commit = repo.commit("main")
    for page in ("", "?blobs=true", "/revision/main", f"/tree/{commit}?recursive=true", "/refs"):
        answer = lab.get(API + page)
        assert answer.status == 200
        assert b"xet" not in answer.body.lower()
    answer = lab.ask("HEAD", f"{NAME}/resolve/main/m.gguf")
    assert not [name for name in answer.headers if "xet" in name.lower() or name.lower() in ("link", "location")]


def test_the_facts_are_those_of_the_hub(lab: Lab, repo: Repo) -> None:
    """With `blobs` the files have sizes and digests."""
    for page in ("", "/revision/main", f"/revision/{repo.commit('main')}"):
        facts = lab.get(API + page).json
        assert (facts["id"], facts["sha"], facts["gated"]) == ("me/model", repo.commit("main"), False)
        assert {file["rfilename"] for file in facts["siblings"]} == set(FILES)
    files = {file["rfilename"]: file for file in lab.get(f"{API}?blobs=true").json["siblings"]}
    assert files["m.gguf"]["lfs"] == {"sha256": SHA256, "size": len(MODEL), "pointerSize": 135}
    assert files["config.json"] == {"rfilename": "config.json", "size": 8, "blobId": blob_sha1(FILES["config.json"])}
    assert lab.get(f"{API}/refs").json["branches"][0]["targetCommit"] == repo.commit("main")


@pytest.mark.parametrize(
    ("page", "paths"),
    [
        ("main?recursive=true&expand=false", [*FILES, "sub", "sub/a b"]),
        ("main?recursive=True&expand=true", [*FILES, "sub", "sub/a b"]),
        ("main", ["m.gguf", "config.json", "empty", "sub"]),
        ("main/sub", ["sub/n.gguf", "sub/a b"]),
        ("main/sub?recursive=true", ["sub/n.gguf", "sub/a b/ä+%.txt", "sub/a b"]),
        ("main/sub%2Fa%20b?recursive=false", ["sub/a b/ä+%.txt"]),
    ],
)
def test_a_listing_is_answered_whole_from_the_pages_of_the_hub(
    lab: Lab, hub: Hub, repo: Repo, page: str, paths: list[str]
) -> None:
    """Whatever part of it is asked for, the Hub is asked once."""
    hub.page = 2
    listed = lab.get(f"{API}/tree/{page}")
    found = [entry["path"] for entry in listed.json]
    assert sorted(found) == sorted(paths)
    assert "Link" not in listed.headers
    asked = len(hub.seen())
    lab.get(f"{API}/tree/{page}")
    assert len(hub.seen()) == asked


@pytest.mark.parametrize("as_json", [True, False])
def test_facts_about_single_paths_are_taken_from_the_listing(lab: Lab, repo: Repo, as_json: bool) -> None:
    """Posted as a form or as JSON; what is not there is left out."""
    asked = {"paths": ["m.gguf", "sub", "none"], "expand": False}
    body = json.dumps(asked) if as_json else urlencode(asked, doseq=True)
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    answer = lab.ask("POST", f"{API}/paths-info/main", body, Content_Type=kind)
    assert {entry["path"]: entry["type"] for entry in answer.json} == {"m.gguf": "file", "sub": "directory"}


@pytest.mark.parametrize("body", ["{", "[]", '{"paths": 3}', "null"])
def test_a_question_that_makes_no_sense_is_refused_or_empty(lab: Lab, repo: Repo, body: str) -> None:
    answer = lab.ask("POST", f"{API}/paths-info/main", body, Content_Type="application/json")
    assert answer.status == 400 or answer.json == []


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_sent_from_here_with_the_headers_of_the_hub(lab: Lab, repo: Repo, path: str) -> None:
    """At a branch and at a commit; HEAD, GET, and a range of it."""
    data, commit = FILES[path], repo.commit("main") or ""
    digest = hashlib.sha256(data).hexdigest() if len(data) >= repo.lfs_from else blob_sha1(data)
    target = f"{NAME}/resolve/main/{path.replace('%', '%25').replace(' ', '%20').replace('ä', '%C3%A4')}"
    for method in ("HEAD", "GET"):
        answer = lab.ask(method, target)
        assert (answer.status, answer.body) == (200, data if method == "GET" else b"")
        assert answer.headers["ETag"] == f'"{digest}"'
        assert answer.headers["X-Repo-Commit"] == commit
        assert answer.headers["Content-Length"] == str(len(data))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers.get("X-Linked-Etag") == (f'"{digest}"' if len(digest) == 64 else None)
        assert answer.headers.get("X-Linked-Size") == (str(len(data)) if len(digest) == 64 else None)
    ranged = lab.get(target.replace("main", commit), Range="bytes=1-2")
    assert (ranged.status, ranged.body) == ((206, data[1:3]) if data else (416, b""))


def test_revisions_may_have_slashes(lab: Lab, repo: Repo) -> None:
    """Encoded, and those of pull requests plain, too."""
    for revision in ("refs/pr/1", "feature/a b"):
        repo.revisions[revision] = {"x.txt": revision.encode()}
    for asked, revision in [
        ("refs%2Fpr%2F1", "refs/pr/1"),
        ("refs/pr/1", "refs/pr/1"),
        ("feature%2Fa%20b", "feature/a b"),
    ]:
        assert lab.get(f"{NAME}/resolve/{asked}/x.txt").body == revision.encode()
        assert [entry["path"] for entry in lab.get(f"{API}/tree/{asked}").json] == ["x.txt"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"{NAME}/resolve/main/nope", 404, "EntryNotFound"),
        (f"{NAME}/resolve/main/sub", 404, "EntryNotFound"),
        (f"{NAME}/resolve/main/sub/../m.gguf", 404, "EntryNotFound"),
        (f"{NAME}/resolve/main/sub/%2E%2E/m.gguf", 404, "EntryNotFound"),
        (f"{NAME}/resolve/main/m%252Egguf", 404, "EntryNotFound"),
        (f"{NAME}/resolve/none/m.gguf", 404, "RevisionNotFound"),
        (f"{NAME}/resolve/%2E%2E/m.gguf", 400, None),
        (f"{API}/tree/main/nope", 404, "EntryNotFound"),
        (f"{API}/revision/none", 404, "RevisionNotFound"),
        ("/api/models/me/none", 401, "RepoNotFound"),
        ("/me/none/resolve/main/x", 401, "RepoNotFound"),
        ("/me/off/resolve/main/config.json", 403, None),
        ("/api/models/me/..", 400, None),
        ("/api/datasets/me/data", 404, None),
        ("/api/whoami-v2", 404, None),
    ],
)
def test_refusals_are_those_of_the_hub(
    lab: Lab, hub: Hub, repo: Repo, target: str, status: int, code: str | None
) -> None:
    """So clients say what they would say of the Hub; asked again at once, the Hub is not."""
    hub.add("me/off", FILES, disabled=True)
    answer = lab.get(target)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["X-Error-Message"]
    assert code != "EntryNotFound" or answer.headers["X-Repo-Commit"] == repo.commit("main")
    asked = requests(hub)
    assert lab.ask("HEAD", target).status == status
    assert requests(hub) == asked
    assert not any(".." in each for each in asked)


def test_a_renamed_repository_and_other_spellings_are_found(lab: Lab, hub: Hub, repo: Repo, models: Path) -> None:
    """As at the Hub; the file is fetched once."""
    hub.renamed["old/name"] = "me/model"
    for name in ("/ME/Model", "/old/name", NAME):
        assert lab.get(f"{name}/resolve/main/m.gguf").body == MODEL
        assert lab.get(f"/api/models{name}/revision/main").json["sha"] == repo.commit("main")
        assert len(lab.get(f"/api/models{name}/tree/main?recursive=1").json) == len(FILES) + 2
    assert installed_names(models) == ["m.gguf"]
    (model,) = luci_dl.installed(folder=models)
    assert model.reference == f"hf:me/model@{repo.commit('main')}/m.gguf"


@pytest.mark.parametrize("path", ["m.gguf", "config.json"])
def test_a_gated_file_is_for_those_whom_the_hub_gives_it_to(lab: Lab, hub: Hub, path: str, models: Path) -> None:
    """Also when it is here; its listing is for everybody, as at the Hub. The Hub away: for nobody."""
    hub.add("me/model", FILES, gated=True)
    target = f"{NAME}/resolve/main/{path}"
    assert lab.get(target, **GOOD).body == FILES[path]
    for headers, status in (({}, 401), ({"Authorization": "Bearer hf_bad"}, 403)):
        refused = lab.get(target, **headers)
        assert (refused.status, refused.code) == (status, "GatedRepo")
    assert lab.get(f"{API}/tree/main").status == 200
    assert lab.get(target, **GOOD, X_Forwarded_For="10.0.0.7").code == "GatedRepo"
    hub.gone = True
    assert lab.get(target, **GOOD).status == 200  # for five minutes
    assert lab.get(target, Authorization="Bearer hf_other").status == 504
    assert b"hf_good" not in b"".join(file.read_bytes() for file in models.parent.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    "page", [f"{API}/revision/main", f"{API}/tree/main", f"{API}/refs", f"{NAME}/resolve/main/empty"]
)
def test_a_private_repository_is_not_there_for_others(
    lab: Lab, hub: Hub, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor over plain http, where others could read it; nor for anybody while the Hub is away."""
    monkeypatch.setattr(documents, "HOLD_S", 0.0)
    hub.add("me/model", FILES, private=True)
    assert lab.get(page, **GOOD).status == 200
    for headers in ({}, {"Authorization": "Bearer hf_bad"}, GOOD | {"X_Forwarded_For": "10.0.0.7"}):
        assert lab.get(page, **headers).status == 401
    hub.gone = True
    assert lab.get(page, **GOOD).status == 504
    assert lab.get(page).status in (401, 504)


def test_everything_that_was_asked_for_is_there_without_the_hub(
    hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what clients ask for first, though nobody has asked; and after a restart. What is not known is refused."""
    commit, answers = repo.commit("main"), dict[str, bytes]()
    with Lab(monkeypatch, models) as lab:
        for path in ("m.gguf", "config.json"):
            assert lab.get(f"{NAME}/resolve/{commit}/{path}").body == FILES[path]
        wait_until(lambda: any(each.endswith("/refs") for each in requests(hub)), what="what clients ask for first")
        pages = ["/refs", "/revision/main", f"/tree/{commit}?recursive=true"]
        answers = {page: lab.get(API + page).body for page in pages}
        hub.close()
        _check_without_hub(lab, answers)
    with Lab(monkeypatch, models) as again:
        _check_without_hub(again, answers)
    assert unfinished(models) == []


def test_what_was_asked_for_by_a_branch_is_known_by_its_commit_without_the_hub(
    hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """curl names the branch; hf and luci name the commit once they know it. Another branch is no exception."""
    repo.revisions["other"] = {"m.gguf": MODEL}
    with Lab(monkeypatch, models) as lab:
        for branch in ("main", "other"):
            commit = repo.commit(branch)
            assert lab.get(f"{NAME}/resolve/{branch}/m.gguf").body == MODEL
            wait_until(lambda commit=commit: f"GET {API}/revision/{commit}" in requests(hub))  # type: ignore[misc]
        hub.close()
        for branch in ("main", "other"):
            assert lab.get(f"{API}/tree/{repo.commit(branch)}?recursive=true").status == 200


def _check_without_hub(lab: Lab, answers: Mapping[str, bytes]) -> None:
    assert {page: lab.get(API + page).body for page in answers} == answers
    for path in ("m.gguf", "config.json"):
        assert lab.get(f"{NAME}/resolve/main/{path}").body == FILES[path]
    for target in ("/api/models/you/other", f"{NAME}/resolve/main/sub/n.gguf", f"{API}/revision/other"):
        refused = lab.get(target)
        assert (refused.status, refused.json["error"]) == (504, "upstream_away")


def test_what_was_installed_is_served_though_the_hub_was_never_asked_here(
    hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commit and path of its receipt; luci asks so."""
    (path,) = luci_dl.install("hf:me/model/m.gguf", folder=models)
    hub.close()
    with Lab(monkeypatch, models) as lab:
        answer = lab.get(f"{NAME}/resolve/{repo.commit('main')}/m.gguf")
        assert (answer.status, answer.body, answer.headers["X-Linked-Etag"]) == (200, path.read_bytes(), f'"{SHA256}"')
        assert lab.get(f"{NAME}/resolve/main/m.gguf").status == 504


def test_a_branch_that_moves_is_followed(lab: Lab, hub: Hub, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its commit has ceased to hold; a commit stays what it is."""
    monkeypatch.setattr(documents, "HOLD_S", 0.0)
    target = "/resolve/main/config.json"
    assert lab.get(NAME + target).body == FILES["config.json"]
    first = repo.commit("main") or ""
    repo.revisions.update(main={**FILES, "config.json": b"new"}, old=FILES)
    assert lab.get(NAME + target).body == b"new"
    assert lab.get(NAME + target.replace("main", first)).body == FILES["config.json"]
    hub.down = True
    assert lab.get(NAME + target).body == b"new"


def test_a_silent_hub_holds_up_nobody_who_can_have_an_old_answer(
    lab: Lab, hub: Hub, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hf waits ten seconds."""
    monkeypatch.setattr(documents, "HOLD_S", 0.0)
    monkeypatch.setattr(answers, "STALE_AFTER_S", 0.2)
    target = f"{NAME}/resolve/main/m.gguf"
    assert lab.get(target).body == MODEL
    hub.stall = True
    began = time.monotonic()
    assert lab.get(target).body == MODEL
    assert hub.stalled.is_set()
    assert time.monotonic() - began < 5


def test_a_hub_that_asks_to_wait_does_not_keep_clients_waiting(
    server: FaultyServer, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told that it gave no answer."""
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))
    busy = faults.status(429, 30)
    server.serve("/api/models/me/model/revision/main", faults=[busy, busy])
    began = time.monotonic()
    with Lab(monkeypatch, models) as lab:
        refused = lab.get(API)
    assert (refused.status, refused.json["error"]) == (504, "upstream_away")
    assert "429" in refused.headers["X-Error-Message"]
    assert time.monotonic() - began < 10


def test_many_clients_are_one_question(lab: Lab, hub: Hub, repo: Repo) -> None:
    hub.stall = True
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(lab.get(API).status)) for _ in range(12)]
    for thread in threads:
        thread.start()
    assert hub.stalled.wait(10)
    wait_until(lambda: len(lab.asked) == 12, what="the clients")
    hub.release.set()
    for thread in threads:
        thread.join(10)
    assert (found, requests(hub)) == ([200] * 12, ["GET /api/models/me/model/revision/main"])


def test_a_small_file_with_wrong_bytes_is_not_sent(lab: Lab, hub: Hub, repo: Repo) -> None:
    """The Hub is asked again by the next client."""
    repo.swapped["config.json"] = b'{"b": 1}'
    refused = lab.get(f"{NAME}/resolve/main/config.json")
    assert (refused.status, refused.json["error"]) == (502, "upstream_wrong")
    del repo.swapped["config.json"]
    assert lab.get(f"{NAME}/resolve/main/config.json").body == FILES["config.json"]


def test_what_is_allowed_is_so_in_any_spelling(
    hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the Hub they are the same."""
    with Lab(monkeypatch, models, allow=("Me/*",)) as lab:
        for name in ("me/model", "ME/Model"):
            assert lab.get(f"/{name}/resolve/main/m.gguf").body == MODEL


def test_only_what_is_allowed_is_asked_for(hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is served whatever is allowed."""
    hub.add("you/other", FILES)
    luci_dl.install("hf:you/other/m.gguf", folder=models)
    with Lab(monkeypatch, models, allow=("we/*",)) as lab, Lab(monkeypatch, models, pull=False) as only_installed:
        for each in (lab, only_installed):
            for target in (f"{API}/revision/main", f"{API}/refs", f"{NAME}/resolve/main/m.gguf"):
                refused = each.get(target)
                assert (refused.status, refused.json["error"]) == (403, "not_allowed")
        assert [each for each in requests(hub) if "/me/model" in each] == []
        for each in (lab, only_installed):
            assert each.get("/You/Other/resolve/main/m.gguf").body == MODEL
            assert each.get("/you/other/resolve/main/sub/n.gguf").status == 403
    assert unfinished(models) == []


def test_a_gated_file_is_not_opened_by_another_name(
    hub: Hub, repo: Repo, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can publish its digest need not have it."""
    repo.gated = True
    hub.add("you/public", {"m.gguf": MODEL})
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    luci_dl.install("hf:me/model/m.gguf", folder=models)
    monkeypatch.delenv("HF_TOKEN")
    with Lab(monkeypatch, models) as lab:
        assert lab.get("/you/public/resolve/main/m.gguf").status == 401
        assert lab.get("/you/public/resolve/main/m.gguf", **GOOD).body == MODEL


def test_a_gated_file_on_its_way_is_not_opened_by_another_name(lab: Lab, hub: Hub, repo: Repo) -> None:
    """Nor sent to who asks while it comes for somebody else."""
    repo.gated, hub.rate = True, 0.1e6
    hub.add("you/public", {"m.gguf": MODEL})
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(lab.get, f"{NAME}/resolve/main/m.gguf", **GOOD)
        wait_until(lambda: lab.get("/luci/v1/status").json["fetching"], what="the fetch")
        assert lab.get("/you/public/resolve/main/m.gguf").status == 401
        hub.rate = None
        hub.release.set()
        assert coming.result().body == MODEL
