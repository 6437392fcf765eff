"""`luci help environment`: luci's own variables from the fields of `Settings`, and those of other programs."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.api.config import KEYS
from luci_dl.cli.topics.layout import heading, table, text

OTHERS = {
    "The Hugging Face Hub": {
        "HF_TOKEN": "Access token for gated and private repositories. It is sent to the Hub, and over https to servers "
        "of the setting lan. Without it the token that the Hub's own tools saved is used: HF_TOKEN_PATH, or `token` in "
        "HF_HOME.",
        "HF_ENDPOINT": "Address of another server in place of https://huggingface.co. In plain http it needs "
        "--sha256 or the setting http_hosts, unless the catalog has the digest. It does not count if the setting lan "
        "names that server.",
        "HF_HUB_OFFLINE": "1, ON, YES or TRUE: ask no server, as with --offline.",
        "HF_HUB_CACHE": "The cache of the Hub's own tools, in which luci looks for copies. Without it "
        "HUGGINGFACE_HUB_CACHE, or `hub` in HF_HOME, which is `huggingface` in XDG_CACHE_HOME (~/.cache).",
    },
    "Ollama": {
        "OLLAMA_REGISTRY": "Address of another registry in place of https://registry.ollama.ai. For plain http, "
        "see HF_ENDPOINT.",
        "OLLAMA_MODELS": "Ollama's models, among which luci looks for copies, and to which it links; ~/.ollama/models.",
    },
    "Docker's models": {
        "DOCKER_REGISTRY": "Address of another registry in place of https://registry-1.docker.io. For plain http, see "
        "HF_ENDPOINT.",
        "MODELS_PATH": "The models of Docker, among which luci looks for copies; ~/.docker/models.",
    },
    "Buckets (s3://), which take `pip install 'luci-dl[s3]'`": {
        "AWS_ENDPOINT_URL": "Address of another store than Amazon's: MinIO, Ceph, Cloudflare R2. In plain http it "
        "needs the setting http_hosts.",
        "AWS_REGION": "Region of the bucket; AWS_DEFAULT_REGION, or else us-east-1.",
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY": "Credentials, with AWS_SESSION_TOKEN if they are temporary. luci "
        'does not read ~/.aws: eval "$(aws configure export-credentials --format env)" sets them. Without them, those '
        "of the machine's role (EC2, ECS, EKS).",
        "AWS_SKIP_SIGNATURE": "true: use no credentials, for a public bucket.",
    },
    "Other programs": {
        "LLAMA_CACHE": "The cache of llama.cpp, in its older layout or the Hub's, in which luci looks for copies.",
    },
    "Proxies": {
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY": "Address of the proxy: http://, https://, socks5://, socks5h:// (the "
        "proxy resolves names), socks4:// or socks4a://, with USER:PASSWORD@ before the host, where : / @ # are "
        '%3A %2F %40 %23. SOCKS needs `pip install ".[socks]"` in luci\'s checkout. Lower-case names (https_proxy) '
        "come before upper-case ones, and the scheme's own variable before ALL_PROXY. On macOS the system's settings "
        "apply if none is set.",
        "NO_PROXY": "Hosts that are reached directly, separated by commas or spaces: names with everything below "
        "them (corp, .corp, *.corp), host:8080, addresses, networks (10.0.0.0/8, fd00::/8), or *.",
    },
    "Certificates": {
        "SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE": "A file of certificates to trust besides the system's; "
        "the first variable that is set is used.",
        "SSL_CERT_DIR": "Folders of certificates to trust (Linux).",
    },
    "The terminal": {
        "NO_COLOR": "Any value: no colours.",
        "TERM": "dumb, unknown or linux: words in place of emoji; dumb and unknown also: plain lines in place of bars, "
        "as in the background of a shell.",
        "LC_ALL, LC_CTYPE, LANG": "C or POSIX: a terminal gets ASCII only.",
        "TMPDIR": "The folder of temporary files, which `luci demo` uses.",
    },
}
"""The variables that are not luci's own, by subject."""


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from text(
        "An empty variable counts as not set, and one in quotes is refused: a shell removes them, but an env file "
        "keeps them. `luci help settings` describes what overrides what."
    )
    yield from heading("luci")
    yield from table(
        [
            ("LUCI_HOME", "luci's own folder, with config.json and the models; ~/.luciferai."),
            *((key.variable, _of_setting(key.name)) for key in KEYS.values() if key.variable),
        ]
    )
    for subject, variables in OTHERS.items():
        yield from heading(subject)
        yield from table(variables.items())


def _of_setting(name: str) -> str:
    spaces = ", separated by spaces or commas" if KEYS[name].kind.many else ""
    return f"Overrides the setting {name}: {KEYS[name].purpose}{spaces}."
