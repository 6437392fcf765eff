"""`luci help serve`: what to set on the other machines, the rules, a service, and how far one server goes."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.cli.topics.layout import block, heading, table, text

_START = """\
pip install 'luci-dl[serve]'
luci serve --bind :8480                      # for everybody on the network
luci serve --bind :8480 --allow 'bartowski/*' --quota 500G
luci serve --bind :8480 --only-installed     # fetches nothing
"""
_CLIENTS = {
    "luci": "luci config set lan http://lab:8480",
    "hf": "HF_ENDPOINT=http://lab:8480 hf download OWNER/REPO",
    "transformers, vLLM": "HF_ENDPOINT=http://lab:8480 vllm serve OWNER/REPO",
    "llama.cpp": "HF_ENDPOINT=http://lab:8480 llama-server -hf OWNER/REPO:Q4_K_M",
    "Ollama": "ollama pull --insecure lab:8480/library/llama3.2:3b",
    "curl": "curl -fO http://lab:8480/OWNER/REPO/resolve/main/FILE.gguf",
    "anything, by SHA-256": "curl -fo FILE http://lab:8480/luci/v1/files/HEX",
}
_RULES = {
    "Once": "A file is fetched once, whoever asks by whatever name, and sent on while it comes. It goes into the "
    "models folder by the same rules as an install: `luci list` shows it. When nobody has waited for it for a minute, "
    "the fetch stops, and goes on where it was for the next one who asks.",
    "Proof": "The last 64 KiB go out only when the SHA-256 of the whole is right; else the connections are cut. "
    "luci on the other machines asks the Hub or the registry itself for digests while these can be reached; other "
    "programs believe this server. What is served has a receipt with a proof; no other file of the machine is.",
    "Away": "While the Hub or the registry cannot be reached, what is here is served as before; it is asked again each "
    "minute. With --only-installed no file is fetched.",
    "/v2/OWNER/REPO": "Manifests and blobs are those of Ollama's registry, unless llama.cpp asks, or files of the "
    "Hub's repository of that name are here: then they are those of the Hub.",
    "Gated": "A gated or private model goes to those whom the Hub gives it: the token of the client (HF_TOKEN) is sent "
    "to the Hub, whose answer holds for five minutes. It is never written down, and the token of the server is never "
    "lent. Such models are sent over TLS or to this machine only, and to nobody while the Hub is away.",
    "Above 50 GB": "hf refuses one file of more than 50 GB from a server without Xet, over TLS too. luci, curl, "
    "llama.cpp and Ollama take it.",
    "Limits": "--allow bounds what others can make it fetch, --quota and min_free what that takes of the disk, "
    "--limit-rate how fast it comes; 16 files come at the same time. Those who ask can change nothing.",
}
_PLACES = {
    "MODELS/pulled/": "What was fetched for others, each file in a folder named for its digest. `luci remove` removes "
    "it, as any model; the next one who asks lets it be fetched again.",
    "LUCI_HOME/serve/": "What the Hub and registries said: listings, manifests, small files; and what hosts need to "
    "share files. To be deleted at will, while luci serve does not run.",
}
_TLS = """\
luci serve --bind :8480 --tls-cert chain.pem --tls-key key.pem
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
systemctl enable --now luci-serve      # the unit above, as luci-serve.service
"""
_FORMULAS = """\
N hosts, a model of S bytes, a wide line of W bytes a second, and LANs:
L the link of the server, l that of each host.

star    max(S / W, N * S / L)                  one luci serve
tree    max(S / W, R * S / L, N / R * S / L)   R more between
swarm   S / W, then about 3 * S / l            hosts pass on what they have
"""
_SIZES = {
    "N up to L / W": "The star costs nothing: 10 hosts at 10 Gbit/s behind a line of 1 Gbit/s take the time of one.",
    "20 hosts": "A model of 40 GB: 11 minutes, of which the line is busy for half.",
    "100 hosts": "53 minutes by a star; by a tree of 10 servers 5 minutes, as long as the line takes.",
    "1000 hosts": "9 hours by a star; 17 minutes by a tree of 32 servers (the square root of N is best).",
}
_NEEDS = {
    "line": "It carries about one copy, whatever N: S / W.",
    "disk": "Hosts that ask together read what is still in memory. Those that ask later read from the disk unless the "
    "server has more memory than S: at 10 Gbit/s 1.25 GB/s, so an SSD; a hard disk gives a sixth.",
    "processor": "One core, which takes 0.3 s for each GiB without TLS: enough for 20 Gbit/s. For more and for TLS put "
    "nginx in front, which uses all cores.",
    "requests": "2000 at the same time; who comes later is told to come back. Ollama makes 16 for each model.",
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
        "For luci, LUCI_LAN does so too, and --no-lan asks the Hub for once; a server that is away is passed over. A "
        "model from Ollama keeps its long name: `ollama cp lab:8480/library/llama3.2:3b llama3.2:3b`."
    )
    for rule, meaning in _RULES.items():
        yield from heading(rule)
        yield from text(meaning, 2)
    yield from heading("What is kept where")
    yield from table(_PLACES.items())
    yield from heading("TLS")
    yield from block(_TLS)
    yield from heading("nginx in front")
    yield from block(_NGINX)
    yield from text(
        "nginx then speaks TLS and sends verified files by itself, so its user must be able to read the models "
        "folder. luci serve listens at 127.0.0.1 only, as it does without --bind."
    )
    yield from heading("Hosts that share")
    yield from block(_SWARM)
    yield from text(
        "Hosts that fetch a file at the same time then send each other what they have, by BitTorrent. The server has "
        "the whole file before they begin, and sends two or three copies in place of one for each host. It names the "
        "hosts, and nobody else hears of them. Only public files of 16 MiB and more are shared, and only by a server "
        "in plain http: each host verifies the SHA-256 of the whole. Hosts must reach each other at any TCP port. An "
        "install goes on sending what is installed, for 60 seconds at most, while others fetch it; Ctrl+C ends that."
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
    yield from heading("For a thousand hosts: how long it takes until all have it")
    yield from block(_FORMULAS)
    yield from table(_SIZES.items())
    yield from text(
        "A star is right until N is more than L / W. Measured with 64 MiB, a LAN of 200 Mbit/s and 16 hosts: star "
        "45 s, swarm 16 s."
    )
    yield from heading("What the server needs")
    yield from table(_NEEDS.items())
    yield from heading("A tree: a server in each rack, which asks the first one")
    yield from block(_TREE)
    yield from text("Each passes on what it gets while it comes, and proves it by itself.")
    yield from heading("Beyond that")
    for name, meaning in _BEYOND.items():
        yield f"  {name}"
        yield from text(meaning, 4)
