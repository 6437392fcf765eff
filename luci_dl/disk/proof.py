"""What of an unfinished file counts: proved by digests of its beginning, and of its blocks."""

from __future__ import annotations

import hashlib

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.disk.block_sums import BlockSums
from luci_dl.disk.blocks import BLOCK, BlockHash, Blocks, count, digest_of, segments_of
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
        proof, begun = nothing(log.header.size), 0
        for offset, digest in sorted(log.checkpoints):
            if not reader.read_to(offset):
                break
            if sha.hexdigest() == digest:
                proof.states.append((offset, sha.copy()))
                begun = found.blocks[offset // BLOCK] or 0
        _add_blocks(proof, file, log, found.blocks, reader.offset)
        proof.sums.begin(proof.offset, begun)
        return proof

    return run_cancellable(work, token, lambda: hashed(reader.offset))


def _add_blocks(proof: Proof, file: fs.File, log: Log, found: Blocks, read: int) -> None:
    """Add the blocks that count, below and beyond the checkpoint; those up to the offset `read` were found there."""
    proved, size = proof.offset, log.header.size
    whole = count(proved) if proved == size else proved // BLOCK
    for number in range(whole):
        proof.sums.learn(number, found[number] or 0, fresh=found[number] != log.blocks[number])
    proof.missing[:] = [Segment(proved, size)]
    if size is None or not log.header.provable:
        return
    wrong = set[int]()
    for number in range(whole, count(size)):
        known, start = log.blocks[number], number * BLOCK
        length = min(BLOCK, size - start)
        if known is not None and start + length > read:
            found[number] = digest_of(fs.read_at(file, length, start))
        if known is not None and known == found[number]:
            proof.sums.learn(number, known, fresh=False)
        else:
            wrong.add(number)
    missing = segments_of(wrong, size)
    proof.missing[:] = [Segment(max(proved, segment.start), segment.end) for segment in missing]
