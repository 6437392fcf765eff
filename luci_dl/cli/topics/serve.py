"""`luci help serve`: what to set on the other machines, the rules, a service, and how far one server goes."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.cli.topics.layout import block, heading, table, text

_START = """\
pip install 'luci-dl[serve]'
luci serve --bind :8480                      # for everybody on the network
luci serve --bind :8480 --allow 'bartowski/*' --allow 'library/*' --quota 500G
luci serve --bind :8480 --only-installed     # fetches no models
"""
_CLIENTS = {
    "luci": "luci config set lan http://lab:8480",
    "hf": "HF_ENDPOINT=http://lab:8480 hf download OWNER/REPO",
    "transformers, vLLM": "HF_ENDPOINT=http://lab:8480 vllm serve OWNER/REPO",
    "llama.cpp": "HF_ENDPOINT=http://lab:8480 llama-server -hf OWNER/REPO:Q4_K_M",
    "Ollama": "ollama pull --insecure lab:8480/library/llama3.2:3b",
    "curl": "curl -fO http://lab:8480/OWNER/REPO/resolve/main/FILE.gguf",
    "anything, by the SHA-256 of what is there": "curl -fo FILE http://lab:8480/luci/v1/files/HEX",
}
_RULES = {
    "Once": "A model of the Hub or of Ollama's registry is fetched once, whoever asks by whatever name, and sent on "
    "while it comes. It goes into the models folder by the same rules as an install: `luci list` shows it. When nobody "
    "has waited for it for a minute, the fetch stops, and resumes for the next one who asks. Models from elsewhere are "
    "not fetched. If they are installed here, luci gets them by their SHA-256.",
    "Verification": "The last 64 KiB are sent only when the SHA-256 of the whole is right; else the connections are "
    "cut. luci on the other machines asks the Hub or the registry itself for digests while these can be reached; other "
    "programs believe this server. Only installed files with a verified SHA-256 are served.",
    "Hub unreachable": "While the Hub or the registry cannot be reached, what is here is served as before; it is asked "
    "again each minute. What the Hub says of models that were installed here is asked ahead, so that this holds for "
    "those that no client has asked for yet. With --only-installed no model is fetched.",
    "/v2/OWNER/REPO": "Manifests and blobs are those of Ollama's registry; of the Hub, if llama.cpp asks or files of "
    "that repository of the Hub are here.",
    "Gated": "A gated or private model goes to those whom the Hub gives it: the client's token (HF_TOKEN) is sent to "
    "the Hub, whose answer holds for five minutes. It is never written down, and the server's own token is never used "
    "for clients. Such models are sent over TLS or to this machine only, and to nobody while the Hub is unreachable. "
    "What was installed from s3:// or with credentials from elsewhere is sent to nobody.",
    "Above 50 GB": "hf, transformers and vLLM refuse one file of more than 50 GB from a server without Xet, over TLS "
    "too. luci, curl, llama.cpp and Ollama have no such limit.",
    "Limits": "--allow limits what clients can have fetched, --quota and min_free its disk space, --limit-rate how "
    "fast it comes; 16 files are fetched at the same time. When there is no space, clients get status 507; no "
    "finished file is evicted. Clients have read-only access.",
}
_PLACES = {
    "MODELS/pulled/": "What was fetched for others, each file in a folder named for its digest. `luci remove` removes "
    "it, as any model; the next one who asks lets it be fetched again.",
    "LUCI_HOME/serve/": "What the Hub and registries said: listings, manifests, small files; and what hosts need to "
    "share files. Safe to delete while luci serve is stopped.",
}
_TLS = """\
luci serve --bind :8480 --tls-cert chain.pem --tls-key key.pem
luci config set lan https://lab:8480         # on the other machines
HF_TOKEN=... HF_ENDPOINT=https://lab:8480 hf download OWNER/REPO
"""
_NGINX = """\
luci serve --print-nginx --tls-cert /etc/ssl/lab.pem \\
    --tls-key /etc/ssl/lab.key >/etc/nginx/conf.d/luci.conf
"""
_SWARM = """\
luci serve --bind :8480 --swarm        # on the server
pip install 'luci-dl[swarm]'           # on each host
luci config set swarm on               # or luci install --swarm
"""
UNIT = """\
[Unit]
Description=Models for other machines
Wants=network-online.target
After=network-online.target

[Service]
User=luci
StateDirectory=luci
StateDirectoryMode=0755
Environment=LUCI_HOME=/var/lib/luci
ExecStart=/opt/luci/bin/luci serve --bind :8480
Restart=on-failure
RestartSec=5
KillSignal=SIGTERM
TimeoutStopSec=60
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
_INSTALL_UNIT = """\
useradd --system --home-dir /var/lib/luci luci
python3 -m venv /opt/luci && /opt/luci/bin/pip install 'luci-dl[serve]'
systemctl daemon-reload       # /etc/systemd/system/luci-serve.service
systemctl enable --now luci-serve
sudo -u luci env LUCI_HOME=/var/lib/luci /opt/luci/bin/luci list
"""
_FORMULAS = """\
N hosts, a model of S bytes; in bytes a second: W the uplink of the site,
L the link of the server to the LAN, l that of each host.

star    max(S / W, N * S / L, S / l)           one luci serve
tree    max(S / W, R * S / L, N / R * S / L)   R servers between
swarm   S / W, then about 4 * S / l            hosts pass on what they have
"""
_SIZES = {
    "10 hosts": "5 minutes by a star, as long as the uplink takes: up to N = L / W it costs nothing.",
    "20 hosts": "11 minutes by a star, for half of which the uplink is busy.",
    "100 hosts": "53 minutes by a star; 5 minutes by a tree of 10 servers.",
    "1000 hosts": "9 hours by a star; 17 minutes by a tree of 32 servers (the square root of N is best). By a swarm 28 "
    "minutes if l is 1 Gbit/s, 9 if it is 10: calculated, not tried.",
}
_NEEDS = {
    "uplink": "It carries about one copy, whatever N: S / W.",
    "disk": "Hosts that ask together read what is still in memory. Those that ask later read from the disk unless the "
    "server has more memory than S: at 10 Gbit/s 1.25 GB/s, so an SSD; a hard disk gives a sixth.",
    "processor": "One core, which takes 0.3 s for each GiB without TLS: enough for 20 Gbit/s. For more and for TLS put "
    "nginx in front, which uses all cores.",
    "requests": "2000 at the same time, 500 of one address; more get status 503 with Retry-After (curl: --retry). "
    "Ollama makes 16 for each model, so that is 125 hosts.",
}
_TREE = """\
luci config set http_hosts lab:8480                # on each server between
HF_ENDPOINT=http://lab:8480 OLLAMA_REGISTRY=http://lab:8480 \\
    luci serve --bind :8480
"""
_BEYOND = {
    "A parallel file system": "Lustre, GPFS and their like: one `luci install --dir /shared/models`, and every host "
    "reads that. `luci help files` says what luci does on network disks. Its bandwidth then loads the model at each "
    "start, so it is for fewer hosts, or for a copy to local disks.",
    "Images": "For hosts that always need the same model: install it with luci while the image of the machine or "
    "the container is made. `luci verify` proves it at the first start, and serve brings what is newer.",
    "Dragonfly": "A swarm for clusters, with schedulers and seed peers. Let it carry "
    "http://lab:8480/luci/v1/files/HEX: what is there never changes, so it may keep that for ever. luci goes through "
    "its proxy on each host (HTTP_PROXY): `luci install http://lab:8480/luci/v1/files/HEX#sha256=HEX -o NAME.gguf` "
    "proves what comes.",
}


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from block(_START)
    yield from text(
        "One machine fetches each model once, and gives it to all others on its network. Its page, http://lab:8480/, "
        "shows what is there and what is on its way."
    )
    yield from heading("On the other machines (the server is called lab)")
    for client, command in _CLIENTS.items():
        yield f"  {client}"
        yield f"    {command}"
    yield ""
    yield from text(
        "LUCI_LAN overrides the setting lan, and --no-lan skips it once; an unreachable server is skipped. HF_ENDPOINT "
        "may stay exported: luci asks the Hub for digests all the same, if the setting lan names that server. A model "
        "from Ollama keeps its long name: `ollama cp lab:8480/library/llama3.2:3b llama3.2:3b`."
    )
    for rule, meaning in _RULES.items():
        yield from heading(rule)
        yield from text(meaning, 2)
    yield from heading("What is kept where")
    yield from table(_PLACES.items())
    yield from heading("TLS")
    yield from block(_TLS)
    yield from text(
        "For a certificate of your own authority, name that in SSL_CERT_FILE on the clients. A renewed certificate is "
        "read at the next start. Hosts do not share files (below) that come over TLS."
    )
    yield from heading("nginx in front")
    yield from block(_NGINX)
    yield from text(
        "Print it with the LUCI_HOME and --dir of the service, and leave --bind out of both: luci serve then listens "
        "at 127.0.0.1 only. nginx speaks TLS and sends verified files by itself, so its user must be able to read the "
        "models folder. Remove nginx's default site, or that answers. Clients then use https://lab, without the port."
    )
    yield from heading("Hosts that share")
    yield from block(_SWARM)
    yield from text(
        "Hosts that fetch a file at the same time then send each other what they have, by BitTorrent. They begin once "
        "the server has the whole file and has read it again (80 s for 40 GB); it sends two or three copies in place "
        "of one for each host. It tells hosts of each other, and nobody else. Only public files of 16 MiB and more are "
        "shared, and only by a server in plain http: each host verifies the SHA-256 of the whole. Each listens at a "
        "free TCP port, which the others must be able to reach. An install goes on sending what is installed, for 60 "
        "seconds at most, while others fetch it; Ctrl+C ends that."
    )
    yield from heading("A systemd service")
    yield from block(UNIT)
    yield from block(_INSTALL_UNIT)
    yield from text(
        "SIGTERM ends it at once, and what was being fetched goes on with the next start. The models folder is "
        "/var/lib/luci/models; for another one, with --dir, add ReadWritePaths=."
    )
    yield from _many_hosts()


def _many_hosts() -> Iterator[str]:
    yield from heading("For a thousand hosts: how long it takes until all have the model")
    yield from block(_FORMULAS)
    yield from text("With S = 40 GB, W = 1 Gbit/s and L = 10 Gbit/s:")
    yield from table(_SIZES.items())
    yield from text(
        "Use a star until N is more than L / W. Measured, with the file on the server, 64 MiB, a LAN of 200 Mbit/s and "
        "16 hosts: star 46 s, swarm 11 s."
    )
    yield from heading("What the server needs")
    yield from table(_NEEDS.items())
    yield from heading("A tree: a server in each rack, which asks the first one")
    yield from block(_TREE)
    yield from text(
        "Each passes on what it gets while it comes, and verifies it. The setting lan is for clients: serve does not "
        "use it. In a unit, both variables are Environment=, and the setting is one of its user."
    )
    yield from heading("Beyond that")
    for name, meaning in _BEYOND.items():
        yield f"  {name}"
        yield from text(meaning, 4)
