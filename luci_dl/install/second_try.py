"""The second try, when all bytes are there and the digest is wrong: what may be wrong is fetched again.

First what is not on disk as it arrived. Then each address has its turn, those first that sent most: the blocks that are
not as it sent them come again, from it alone. An address has a second turn if a response may have been cut short
without a sign of it, or if the responses disagreed on the file. Once the bytes are right, it is known who sent others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from luci_dl.disk.blocks import BLOCK, Blocks, count, segments_of
from luci_dl.disk.part import Part
from luci_dl.disk.senders import Sender
from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.events import Warned
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact
from luci_dl.net.origin import host_of
from luci_dl.plan import Segment

Fetch = Callable[[Artifact], None]
"""Fetches what is missing of the part."""
_LISTED = 3
"""How many runs of blocks a message lists."""


class SecondTry:
    """Verifies a part that is complete, and corrects it where that may be possible.

    Args:
        elsewhere: the part has bytes that did not come from these addresses in this run.
    """

    def __init__(self, part: Part, context: InstallContext, fetch: Fetch, *, elsewhere: bool) -> None:
        self._part = part
        self._artifact = part.artifact
        self._context = context
        self._fetch = fetch
        self._elsewhere = elsewhere
        self._sent: dict[Sender, Blocks] = {}

    def run(self) -> None:
        """Returns when the bytes are right. Raises: the error of the last try; Interrupted; StorageError."""
        error = self._mismatch()
        if error and self._part.provable:
            error = self._fetch_damaged(error)
        if error and (len(self._artifact.urls) > 1 or self._elsewhere or self._may_pass):
            error = self._fetch_from_each(error)
        if error:
            raise error
        self._name_wrong_senders()

    def _mismatch(self) -> LuciError | None:
        try:
            self._part.verify(self._context.token)
        except IntegrityError as error:
            return error
        return None

    def _fetch_damaged(self, error: LuciError) -> LuciError | None:
        """Fetch again what the disk does not return as it arrived."""
        damaged = self._part.damaged(self._context.token)
        if not damaged:
            return error
        self._warn(f"{error.message}; {self._named(damaged)} changed on disk after arrival; fetching that again")
        return self._again(self._artifact, damaged)

    def _fetch_from_each(self, error: LuciError | None) -> LuciError | None:
        """Fetch again from each address alone what is not as it was sent from there."""
        self._note_senders()
        urls = deque(sorted(self._artifact.urls, key=lambda url: len(self._not_from(url))))
        sizes = set[int | None]()
        while error and urls:
            url = urls.popleft()
            others = self._not_from(url)
            if self._may_pass and self._part.size not in sizes and len(sizes) < self._context.options.retries:
                sizes.add(self._part.size)  # if the size is the same again, the bytes there really are others
                urls.append(url)
            if others:
                segments = segments_of(others, self._part.size or 0) if len(others) < self._count else None
                what = self._named(segments) if segments else "it"
                self._warn(f"{error.message}; fetching {what} again from {url}")
                headers = self._artifact.headers if url == self._artifact.urls[0] else {}  # mirrors get no credentials
                error = self._again(replace(self._artifact, urls=(url,), headers=headers), segments)
                self._note_senders()
        return error

    @property
    def _may_pass(self) -> bool:
        """Whether the bytes can be wrong although the address has the right ones."""
        return self._part.mixed or not self._part.end_is_certain

    def _again(self, artifact: Artifact, segments: Sequence[Segment] | None) -> LuciError | None:
        """Fetch these segments again, or all."""
        self._part.forget(segments)
        try:
            self._fetch(artifact)
        except (IntegrityError, NetworkError, ResolveError) as error:
            return error
        return self._mismatch()

    def _note_senders(self) -> None:
        for sender, blocks in self._part.sent().items():
            self._sent.setdefault(sender, Blocks()).complete(blocks)

    @property
    def _count(self) -> int:
        """How many blocks the file has, as far as that is known."""
        return max(1, count(self._part.size or 0))

    def _not_from(self, url: str) -> list[int]:
        """The numbers of the blocks that the part has not as that address sent them."""
        if self._may_pass or not self._part.provable:  # then all bytes must be of one response
            return list(range(self._count))
        now = self._part.blocks
        sent = [blocks for sender, blocks in self._sent.items() if sender.url == url]
        return [
            number
            for number in range(self._count)
            if now[number] is None or all(blocks[number] != now[number] for blocks in sent)
        ]

    def _name_wrong_senders(self) -> None:
        for sender, blocks in self._sent.items():
            size, wrong = self._part.size or 0, blocks.differing(self._part.blocks)
            if wrong:
                host, behind = sender.host, host_of(sender.url)
                who = host if host == behind else f"{host}, to which {behind} redirects,"
                what = f"wrong bytes of {self._artifact.name} ({self._named(segments_of(wrong, size))})"
                self._warn(f"{who} sent {what}, which luci fetched again")

    def _named(self, segments: Sequence[Segment]) -> str:
        """The blocks of the segments in words, counted from 1: "blocks 5-6, 9 of 120"."""
        size = self._part.size or 0
        runs = [(segment.start // BLOCK + 1, count(segment.end or size)) for segment in segments]
        shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:_LISTED]]
        more = ["..."] if len(runs) > _LISTED else []
        noun = "block" if len(runs) == 1 and runs[0][0] == runs[0][1] else "blocks"
        return f"{noun} {', '.join(shown + more)} of {count(size)}"

    def _warn(self, message: str) -> None:
        self._context.emit(Warned(message))
