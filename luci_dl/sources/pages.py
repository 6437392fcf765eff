"""Pages that show a file, as people copy their addresses from a browser: what is the address of the file itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from luci_dl.errors import UsageError
from luci_dl.frozen import frozen

HUB = "huggingface.co"
_MIRROR = "https://hf-mirror.com"
HUB_SITES = (HUB, f"www.{HUB}", "hf.co")

_TRACKING = r"utm_\w+|fbclid|gclid|ref|source|share|usp"
HUB_IGNORED = (
    r"download|library|local-app|inference_(?:api|provider)|not-for-all-audiences|clone|doi|text|chat_template"
)
"""Parameters of the Hub's pages that do not change which file is meant."""


@frozen
class _Page:
    """A kind of page.

    Attributes:
        page: matches its host and path, which is percent-encoded.
        file: host, path and query of the file's own address, with groups of `page`.
        ignored: matches the names of parameters that do not change which file is meant.
        carried: matches those that the address of the file needs, too. With any others an address stays as it is.
    """

    page: str
    file: str
    ignored: str = ""
    carried: str = ""


@frozen
class _NoFile:
    """A kind of page that shows no single file, and what to do there."""

    page: str
    what: str
    hint: str


_REPO = r"/[^/]+/[^/]+"
_REPO_NAME = r"/[^/]+/(?:[^/.]|\.(?![A-Za-z]\w*/?$))+"
"""A repository, not a file in a folder."""
_HUB_FILE = r"((?:/datasets|/spaces)?/[^/]+(?:/[^/]+)?)/(?:blob|raw|resolve)/([^/]+/.+)"

_PAGES = (
    _Page(rf"(?:(?:www\.)?huggingface\.co|hf\.co){_HUB_FILE}", rf"{HUB}\1/resolve/\2", HUB_IGNORED),
    # GitHub's /raw/ redirects to the file, also where raw.githubusercontent.com has a Git LFS pointer
    _Page(rf"(?:www\.)?github\.com({_REPO})/(?:blob|raw|blame|edit)/(.+)", r"github.com\1/raw/\2", "raw|plain"),
    _Page(rf"raw\.githubusercontent\.com({_REPO})/(.+)", r"github.com\1/raw/\2"),
    _Page(r"([^/]+/.+)/-/(?:blob|raw|blame|edit)/(.+)", r"\1/-/raw/\2", "ref_type|inline|plain"),
    # Forgejo's /raw/ has the pointer of an LFS file, /media/ the file
    _Page(rf"(codeberg\.org|gitea\.com)({_REPO})/(?:src|raw|media)/((?:branch|tag|commit)/.+)", r"\1\2/media/\3"),
    _Page(rf"bitbucket\.org({_REPO})/(?:src|raw)/(.+)", r"bitbucket.org\1/raw/\2", "at"),
    _Page(rf"((?:www\.)?modelscope\.(?:cn|ai)/models{_REPO})/file/view/(.+)", r"\1/resolve/\2", "status"),
    _Page(r"(?:www\.)?dropbox\.com/((?:s|scl/fi)/.+)", r"www.dropbox.com/\1?dl=1", "dl|e", "rlkey|st"),
    _Page(
        r"drive\.google\.com/file/d/([^/]+)(?:/\w*)?",
        r"drive.usercontent.google.com/download?id=\1&export=download&confirm=t",
        carried="resourcekey",
    ),
    _Page(
        r"drive\.google\.com/(?:open|uc)",
        "drive.usercontent.google.com/download?export=download&confirm=t",
        "export|confirm|authuser",
        "id|resourcekey",
    ),
)
_COPY_BUTTON = "Open the file there, and give the address of its Raw or Download button."
_SHARE_FILE = "Open the file in it, share it, and give that address."
_NO_FILES = (
    _NoFile(rf"(?:www\.)?github\.com{_REPO}(?:/tree/.*|/releases(?:/latest|/tag/.*)?)?/?", "at GitHub", _COPY_BUTTON),
    _NoFile(r"[^/]+/.+/-/tree/.*", "at GitLab", _COPY_BUTTON),
    _NoFile(rf"(?:www\.)?modelscope\.(?:cn|ai)/models{_REPO}(?:/files|/summary)?/?", "at ModelScope", _COPY_BUTTON),
    _NoFile(r"zenodo\.org/records?/\d+/?", "at Zenodo", _COPY_BUTTON),
    _NoFile(r"(?:www\.)?civitai\.com/models/.*", "at Civitai", "Give the address of its Download button."),
    _NoFile(r"drive\.google\.com/drive/.*", "in Google Drive", _SHARE_FILE),
    _NoFile(r"(?:www\.)?dropbox\.com/(?:sh|scl/fo)/.*", "in Dropbox", _SHARE_FILE),
    _NoFile(
        r"1drv\.ms/.*|onedrive\.live\.com/(?!download).*",
        "in OneDrive",
        "Download it in a browser, and give the address from its list of downloads.",
    ),
)


def file_address(address: str, hubs: Sequence[str] = ()) -> str:
    """Host, path and query of the file that is shown at `address`, or `address` itself.

    Args:
        hubs: base addresses of servers with the same pages as the Hub.

    Raises: UsageError, for a page that is known to show none.
    """
    page, _, query = address.partition("?")
    bases = "|".join(re.escape(hub.partition("://")[2].rstrip("/")) for hub in (*hubs, _MIRROR))
    hub_file = _Page(rf"({bases}){_HUB_FILE}", r"\1\2/resolve/\3", HUB_IGNORED)
    hub_page = _NoFile(
        rf"(?:{bases})(?:{_REPO}/tree/.*|{_REPO_NAME}/?)", "of a repository", "Give hf:OWNER/REPO instead."
    )
    for known in (*_PAGES, hub_file):
        found = re.fullmatch(known.page, page)
        if found is None:
            continue
        left = parameters(query, known.ignored)
        if all(re.fullmatch(known.carried, name) for name, _ in left):
            file, _, fixed = _expanded(known.file, found).partition("?")
            new = "&".join([text for text in (fixed, *(text for _, text in left)) if text])
            return f"{file}?{new}" if new else file
    for no_file in (*_NO_FILES, hub_page):
        if re.fullmatch(no_file.page, page):
            raise UsageError(f"{page} is a page {no_file.what}, not the address of a file", no_file.hint)
    return address


def _expanded(template: str, found: re.Match[str]) -> str:
    """As `found.expand`, which parses the template again each time."""
    return re.sub(r"\\([0-9])", lambda group: found[int(group[1])] or "", template)


def parameters(query: str, ignored: str) -> list[tuple[str, str]]:
    """The parameters of a query, each with its decoded name and its text, without those whose names are ignored."""
    ignored = f"{ignored}|{_TRACKING}" if ignored else _TRACKING
    pairs = [(unquote(text.partition("=")[0]), text) for text in query.split("&") if text]
    return [(name, text) for name, text in pairs if not re.fullmatch(ignored, name, re.IGNORECASE)]
