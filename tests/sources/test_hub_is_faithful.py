"""The Hub of the tests, checked with the Hub's own client."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.hub import Hub

DOWNLOAD = """
import json, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub import errors
repo, home = sys.argv[1:]
told = {"file": open(hf_hub_download(repo, "model.gguf"), "rb").read().hex()[:8]}
told["snapshot"] = snapshot_download(repo)
told["tree"] = sorted(entry.path for entry in HfApi().list_repo_tree(repo, recursive=True) if hasattr(entry, "size"))
for name, work in {
    "missing": lambda: hf_hub_download("me/none", "x"),
    "no file": lambda: hf_hub_download(repo, "x"),
    "no revision": lambda: hf_hub_download(repo, "model.gguf", revision="none"),
    "gated": lambda: hf_hub_download("me/gated", "model.gguf", token=False),
}.items():
    try:
        work()
    except errors.HfHubHTTPError as error:
        told[name] = type(error).__name__
print(json.dumps(told))
"""


def test_the_real_client_downloads_from_it_and_understands_its_refusals(tmp_path: Path) -> None:
    """Files of both kinds, a listing of several pages, a renamed repository, and each error by its own class."""
    if importlib.util.find_spec("huggingface_hub") is None:
        pytest.skip("huggingface_hub is not installed")
    files = {"model.gguf": b"GGUF" + bytes(5000), "config.json": b"{}", "sub/two.txt": b"two"}
    with Hub() as hub:
        hub.add("you/new-name", files)
        hub.renamed["me/model"] = "you/new-name"
        hub.add("me/gated", files, gated=True)
        hub.tokens.add("hf_token")
        hub.page = 2
        environment = os.environ | {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path),
            "HF_TOKEN": "hf_token",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        command = [sys.executable, "-c", DOWNLOAD, "me/model", str(tmp_path)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["file"] == b"GGUF".hex()
    there = {path: (Path(told["snapshot"]) / path).read_bytes() for path in files}
    assert there == files
    assert told["tree"] == sorted(files)
    assert told["missing"] == "RepositoryNotFoundError"
    assert told["no file"] == "RemoteEntryNotFoundError"
    assert told["no revision"] == "RevisionNotFoundError"
    assert told["gated"] == "GatedRepoError"
