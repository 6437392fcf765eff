"""A configuration that puts nginx in front: it speaks TLS to others, and sends verified files by itself."""

from __future__ import annotations

from pathlib import Path

from luci_dl.errors import UsageError
from luci_dl.net.origin import is_loopback
from luci_dl.serve.desk import ACCEL
from luci_dl.serve.server import Binding, Certificate

_PREFIX = "/luci-files/"
_KEPT = ("ETag", "Location", "Docker-Content-Digest", "X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size")
"""Headers of luci's response that nginx would leave out of its own."""
_TEXT = """\
# nginx in front of `luci serve --bind {bind}`: a file for http {{ }}, such as /etc/nginx/conf.d/luci.conf.
# nginx sends what is verified, so its user must be able to read {folder}.
upstream luci_serve {{
    server {bind};
    keepalive 32;
}}

server {{
{listen}
    gzip off;

    location / {{
        proxy_pass http://luci_serve;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        # not what the client says of itself
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header {accel} {prefix};
        # a file is sent on while it comes
        proxy_buffering off;
        proxy_next_upstream off;
        proxy_read_timeout 600s;
        proxy_send_timeout 600s;
    }}

    location {prefix} {{
        internal;
        alias {folder};
        sendfile on;
        sendfile_max_chunk 2m;
        etag off;
{headers}
    }}
}}
"""
_PLAIN = """\
    listen 80;
    # Plain http: gated models are refused. For TLS, print this with --tls-cert and --tls-key."""
_TLS = """\
    listen 443 ssl;
    ssl_certificate {chain};
    ssl_certificate_key {key};"""


def configuration(binding: Binding, folder: Path, certificate: Certificate | None) -> str:
    """Of nginx.

    Args:
        binding: where luci serve listens.
        folder: the models folder.
        certificate: for nginx; None for plain http.

    Raises: UsageError, for a binding that others reach, and for paths that nginx cannot name.
    """
    if not is_loopback(binding.host):
        raise UsageError(
            f"--bind: expected an address that only this machine reaches, found {binding.host or 'every address'}",
            "Others would get past nginx. For example: --bind 127.0.0.1:8480",
        )
    host = f"[{binding.host}]" if ":" in binding.host else binding.host
    listen = _PLAIN
    if certificate:
        listen = _TLS.format(chain=_quoted(certificate.chain), key=_quoted(certificate.key))
    return _TEXT.format(
        bind=f"{host}:{binding.port}",
        folder=_quoted(folder, "/"),
        listen=listen,
        accel=ACCEL,
        prefix=_PREFIX,
        headers="\n".join(f"        add_header {name} $upstream_http_{_variable(name)};" for name in _KEPT),
    )


def _variable(header: str) -> str:
    return header.lower().replace("-", "_")


def _quoted(path: Path, end: str = "") -> str:
    """The path as a word of nginx's configuration. Raises: UsageError."""
    text = str(path.absolute())
    if "$" in text or not text.isprintable():
        raise UsageError(f"nginx cannot name {text}: it has a $ or a character that cannot be printed", "Rename it.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}{end}"'
