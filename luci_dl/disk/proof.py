"""What of an unfinished file counts: proved by digests of its beginning, and of its blocks."""

from __future__ import annotations

import hashlib

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.disk.block_sums import BlockSums
from luci_dl.disk.blocks import BLOCK, BlockHash, Blocks, count, digest_of, extent, segments_of
from luci_dl.disk.hashing import Hashed, Reader, State
from luci_dl.disk.journal import Log
from luci_dl.frozen import frozen
from luci_dl.plan import Segment


@frozen
class Proof:
    """What of a part counts.

    Attributes:
        states: of the hash, in order, the last one at the end of the beginning that a checkpoint proves.
        missing: the segments that do not count, in order; the last one has no end while the size is unknown.
        sums: the digests of the blocks that count.
        size: bytes of the whole file; None while that is unknown.
    """

    states: list[State]
    missing: list[Segment]
    sums: BlockSums
    size: int | None

    @property
    def offset(self) -> int:
        """The end of the beginning that a checkpoint proves."""
        return self.states[-1][0]

    @property
    def end(self) -> int:
        """Where the last bytes end that count."""
        reaches_end = not self.missing or self.missing[-1].end != self.size
        return self.size or 0 if reaches_end else self.missing[-1].start


def nothing(size: int | None) -> Proof:
    """No byte of a file of `size` bytes counts."""
    return Proof([(0, hashlib.sha256())], [Segment(0, size)], BlockSums(), size)


def prove(file: fs.File, log: Log, token: CancelToken, hashed: Hashed) -> Proof:
    """What counts of a part with that journal.

    That is the longest beginning that a checkpoint proves, and, where a digest proves the whole in the end, every block
    beyond that has the digest that the journal says.

    Raises: Interrupted; StorageError.
    """
    sha, found = hashlib.sha256(), BlockHash()
    reader = Reader(file, token, sha, beside=found)

    def work() -> Proof:
        states, begun = nothing(None).states, found.last
        for offset, digest in sorted(log.checkpoints):
            if not reader.read_to(offset):
                break
            if sha.hexdigest() == digest:
                states.append((offset, sha.copy()))
                begun = found.last.copy()
        blocks = _Blocks(file, log, states[-1][0], found.blocks, reader.offset)
        proof = Proof(states, blocks.missing(token), blocks.sums, log.header.size)
        proof.sums.begin(proof.offset, begun)
        return proof

    return run_cancellable(work, token, lambda: hashed(reader.offset))


class _Blocks:
    """The blocks of a part of which a checkpoint proves the bytes up to `proved`.

    Args:
        found: their digests on disk, up to the offset `read`.

    Attributes:
        sums: the digests of those that count.
    """

    def __init__(self, file: fs.File, log: Log, proved: int, found: Blocks, read: int) -> None:
        self.sums = BlockSums()
        self._file = file
        self._log = log
        self._size = log.header.size
        self._proved = proved
        self._found = found
        self._read = read
        self._whole = count(proved) if proved == self._size else proved // BLOCK  # so many are proved as a whole
        for number in range(self._whole):
            self.sums.learn(number, found[number] or 0, fresh=found[number] != log.blocks[number])

    def missing(self, token: CancelToken) -> list[Segment]:
        """The segments that do not count. Raises: Interrupted; StorageError."""
        size = self._size
        if size is None or not self._log.header.provable:
            return [Segment(self._proved, size)]
        wrong = [number for number in range(self._whole, count(size)) if not self._is_right(number, size, token)]
        return [Segment(max(self._proved, segment.start), segment.end) for segment in segments_of(wrong, size)]

    def _is_right(self, number: int, size: int, token: CancelToken) -> bool:
        """Whether the block has the digest that the journal says."""
        token.check()
        known, (start, end) = self._log.blocks[number], extent(number, size)
        if known is None:
            return False
        found = self._found[number] if end <= self._read else digest_of(fs.read_at(self._file, end - start, start))
        if found == known:
            self.sums.learn(number, known, fresh=False)
        return found == known
