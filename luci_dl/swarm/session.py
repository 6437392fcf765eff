"""A BitTorrent session for files whose peers a server on the LAN names: nothing is announced to anybody else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import libtorrent as lt

from luci_dl.cancel import start_thread
from luci_dl.errors import NetworkError
from luci_dl.plan import Segment
from luci_dl.swarm.torrent import Metainfo, Torrent, pieces

_POLL_MS = 100
_REQUEST = 1 << 20
"""Bytes asked of the server at a time: a host that takes more has what others could have sent it."""
_SETTINGS: dict[str, Any] = {
    **dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False),
    **dict.fromkeys(("enable_incoming_utp", "enable_outgoing_utp"), False),
    **dict.fromkeys(("in_enc_policy", "out_enc_policy"), int(lt.enc_policy.disabled)),
    "allow_multiple_connections_per_ip": True,  # several lucis on one machine
    "close_redundant_connections": False,  # or the first hosts with all of it leave the others
    "min_reconnect_time": 1,  # a host leaves for a moment, between its last byte and its rename
    "mixed_mode_algorithm": int(lt.bandwidth_mixed_algo_t.prefer_tcp),
    "urlseed_max_request_bytes": _REQUEST,
    "urlseed_wait_retry": 5,
    "peer_connect_timeout": 5,
    "peer_timeout": 30,
    "request_timeout": 10,
    "piece_timeout": 10,
    "stop_tracker_timeout": 0,
    "alert_queue_size": 100_000,
    "aio_threads": 2,
    "max_queued_disk_bytes": 16 << 20,  # the rest waits at its sender
    "user_agent": "luci",
    "alert_mask": lt.alert.category_t.status_notification
    | lt.alert.category_t.piece_progress_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.error_notification,
}
_FLAGS = lt.torrent_flags
_PRIVATE = _FLAGS.disable_dht | _FLAGS.disable_lsd | _FLAGS.disable_pex
_MANAGED = _FLAGS.auto_managed | _FLAGS.paused


class Session:
    """One for a run; it ends with `close`. Any thread may call.

    Attributes:
        port: where it listens, on the address of this machine that the server sees.
    """

    def __init__(self, server: str) -> None:
        """Args: `server`: host of the server that names the peers. Raises: NetworkError; StorageError."""
        self._rates: tuple[int | None, int | None] = None, None
        self._torrents: dict[str, Torrent] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        address = _address_towards(server)
        host = f"[{address}]" if ":" in address else address
        settings: Any = {**_SETTINGS, "listen_interfaces": f"{host}:0"}
        self._session = lt.session(settings)
        self.port: int = self._session.listen_port()
        if not self.port:
            raise NetworkError(f"cannot listen for other hosts at {host}")
        start_thread(self._listen, "luci-swarm")

    def fetch(self, metainfo: Metainfo, fd: int, missing: Sequence[Segment], web_seed: str) -> Torrent | None:
        """Begin to write the missing pieces into an open file, and to send all that are there.

        Args:
            fd: it stays open until `Torrent.leave` returns; the file has its whole length.
            missing: whole pieces.
            web_seed: the address of a folder of the server, where the file has the name that the metainfo says.

        Returns: None if the session has this torrent already.
        """
        given = lt.load_torrent_buffer(metainfo.data)
        given.save_path, given.renamed_files = "/dev/fd", {0: str(fd)}  # whatever its name leads to by then
        given.url_seeds = [web_seed]
        absent = {number for each in missing for number in pieces(each, metainfo)}
        given.have_pieces = [number not in absent for number in pieces(Segment(0, None), metainfo)]
        given.flags |= _FLAGS.no_verify_files
        return self._add(given, metainfo, absent)

    def seed(self, metainfo: Metainfo, path: Path) -> Torrent | None:
        """Send a whole file, which is never changed. Returns: as `fetch`."""
        given = lt.load_torrent_buffer(metainfo.data)
        given.save_path, given.renamed_files = str(path.parent), {0: path.name}
        given.url_seeds = []
        given.flags |= _FLAGS.seed_mode | _FLAGS.upload_mode
        return self._add(given, metainfo, set())

    def _add(self, given: Any, metainfo: Metainfo, absent: set[int]) -> Torrent | None:
        given.trackers, given.dht_nodes = [], []
        given.flags = (given.flags | _PRIVATE | _FLAGS.duplicate_is_error) & ~_MANAGED
        with self._lock:
            try:
                handle = self._session.add_torrent(given)
            except RuntimeError:
                return None
            key = str(given.ti.info_hashes().v2)
            torrent = Torrent(handle, metainfo, absent, lambda: self._session.remove_torrent(handle))
            self._torrents[key] = torrent
            return torrent

    def set_rates(self, down: int | None, up: int | None) -> None:
        """Limit what comes and what goes, in bytes a second; None for no limit."""
        if self._rates != (down, up):
            self._rates = down, up
            for each in (self._session.global_peer_class_id, self._session.local_peer_class_id):
                limited = self._session.get_peer_class(each)  # hosts on the same network are in another class
                limited["download_limit"], limited["upload_limit"] = down or 0, up or 0
                self._session.set_peer_class(each, limited)

    def close(self) -> None:
        """End all torrents. Waits for none of them."""
        self._closed.set()
        with self._lock:
            for torrent in self._torrents.values():
                torrent.end()

    def _listen(self) -> None:
        while self._torrents or not self._closed.is_set():
            self._session.wait_for_alert(_POLL_MS)
            for alert in self._session.pop_alerts():
                if isinstance(alert, lt.torrent_alert):
                    self._note(alert)

    def _note(self, alert: Any) -> None:
        removed = isinstance(alert, lt.torrent_removed_alert)
        with self._lock:
            key = next((key for key, each in self._torrents.items() if each.is_of(alert)), None)
            if key is None:
                return
            torrent = self._torrents.pop(key) if removed else self._torrents[key]
        torrent.note(alert)


def _address_towards(server: str) -> str:
    """The address of this machine that connections to the server come from. Raises: NetworkError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(server, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise NetworkError(f"{server} cannot be reached: {error.strerror or error}") from error
