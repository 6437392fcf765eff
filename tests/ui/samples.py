"""One event of each kind."""

from __future__ import annotations

from luci_dl import events
from luci_dl.events import Event

MISTRAL = "mistral-7b-instruct-v0.2.Q4_K_M.gguf"
LLAMA = "llama-3.2-3b-instruct-Q4_K_M.gguf"
GB = 1_000_000_000


def samples(name: str = LLAMA, text: str = "reset by peer") -> list[Event]:
    """Every kind of event, with `name` and `text` wherever a server, a catalog or another user determines them."""
    return [
        events.Planned((name, "mistral"), 6 * GB, True),
        events.Waiting(name, 4242, text, text, text, GB, 2 * GB, 98e6),
        events.Started(name, 2 * GB, 0),
        events.Serving(name, text, text),
        events.Swarming(name, text),
        events.Sharing((name,), 2, 60.0),
        events.SmallFiles(name, (name,), GB),
        events.Progress(name, GB, 2 * GB, 98e6),
        events.CopyFound(name, f"/models/{name}", text, 2 * GB),
        events.Copying(name, GB, 2 * GB, 98e6),
        events.Uploading(name, GB, 2 * GB, 98e6),
        events.Hashing(name, GB, 2 * GB),
        events.Retrying(name, text, 8.0, 2, 10),
        events.Requested("GET", f"https://example.com/{name}", "bytes=0-1023", (text,), 206, 0.12, text),
        events.Chosen(name, text, 2 * GB, "fits memory", text),
        events.Warned(text),
        events.Installed(name, (f"/models/{name}",), 2 * GB, "downloaded", 2 * GB, 20.0),
        events.Compared(name, f"/models/{name}", "unknown", text, None),
        events.Superseded(name, f"/models/{name}", True),
        events.Deleted(name),
        events.NotDeleted(name, text, f"/models/.luci/{name}.part"),
        events.Kept(name, GB, 2 * GB),
        events.Stopped(2),
        events.Failed(name, text, text, 4),
        events.Summary((name,), (name,), ((name, text),), (name,)),
        events.WouldInstall(
            name,
            name,
            f"/models/{name}",
            "copy",
            (f"https://h/{name}",),
            GB,
            "sha256",
            "ab" * 32,
            "catalog",
            GB,
            f"/usb/{name}",
            text,
            text,
        ),
        events.FallbackFolderUsed(name, f"/backup/{name}", text),
        events.DiskSpace(f"/models/{name}", GB, True, 2 * GB, GB, True),
        events.DiskSpace(f"/models/{name}", GB, False, None, GB, True),
        events.Cleaned(f"/models/.luci/{name}.part", "part", GB, False),
        events.Verified(name, f"/models/{name}", "mistral", "changed", text, text),
        events.VerifySummary(3, 1, 1),
        events.Removed(name, (f"/models/{name}",), GB, False),
        events.ServeStarted("http://127.0.0.1:8480", f"/models/{name}", True, False),
        events.Linked(name, "ollama", text, "/models", (f"/blobs/{name}",), "hardlink", text, False),
        events.Unlinked(name, "ollama", text, (f"/blobs/{name}",), False),
        events.Moved(name, (f"/big/{name}",), "/models", "/big", "moved", GB, 0, False),
        events.Moved(name, (f"/big/{name}",), "/models", "/big", "exported", GB, GB, True),
        events.Moved(name, (f"s3://b/{name}",), "/models", "s3://b", "pushed", GB, GB, False),
        events.ExportSummary(f"/media/{name}", 3, GB, f"/media/{name}/SHA256SUMS"),
        events.RolledForward(name),
        events.CleanSummary(3, GB, 1, False),
        events.LeftAlone(f"/models/.luci/{name}.lock", text),
        events.Finding("folder", "error", text, text, 6),
    ]
