"""Who sent which block: whole blocks only, and only what the part still has."""

from __future__ import annotations

from luci_dl.disk.blocks import BLOCK, Blocks
from luci_dl.disk.senders import Sender, Senders
from luci_dl.plan import Lease, Remote, Segment

SIZE = 4 * BLOCK + 10
ONE, TWO = Sender("https://one/m", "one"), Sender("https://two/m", "cdn")


def write(senders: Senders, sender: Sender, start: int, end: int) -> None:
    """What a worker does with the response of that sender."""
    lease = Lease(Segment(start, SIZE))
    senders.begin(lease, Remote(sender.url, SIZE, None, served_by=sender.host))
    lease.pos = end
    senders.end(lease)


def numbers(senders: Senders) -> dict[str, list[int]]:
    """The blocks that each address sent."""
    blocks = Blocks()
    for number in range(5):
        blocks[number] = number
    found = senders.sent(blocks, SIZE)
    return {sender.url: [number for number in range(5) if sent[number] is not None] for sender, sent in found.items()}


def test_a_block_belongs_to_the_sender_of_all_its_bytes() -> None:
    """Also if they came in several responses; a block of two senders, or of an earlier run, is nobody's."""
    senders = Senders()
    write(senders, ONE, 100, BLOCK + 10)
    write(senders, ONE, BLOCK + 10, 2 * BLOCK)
    write(senders, ONE, 2 * BLOCK, 2 * BLOCK + 1)
    write(senders, TWO, 2 * BLOCK + 1, SIZE)
    assert numbers(senders) == {ONE.url: [1], TWO.url: [3, 4]}


def test_a_lease_may_see_several_responses() -> None:
    """Each is responsible for what was written while it was read."""
    senders, lease = Senders(), Lease(Segment(0, SIZE))
    senders.begin(lease, Remote(ONE.url, SIZE, None))
    lease.pos = BLOCK
    senders.begin(lease, Remote(TWO.url, SIZE, None))
    lease.pos = SIZE
    senders.end(lease)
    senders.end(lease)
    assert numbers(senders) == {ONE.url: [0], TWO.url: [1, 2, 3, 4]}


def test_what_is_forgotten_was_sent_by_nobody() -> None:
    """Until it is sent again; what lies around it keeps its sender."""
    senders = Senders()
    write(senders, ONE, 0, SIZE)
    senders.forget([Segment(BLOCK, 3 * BLOCK)])
    assert numbers(senders) == {ONE.url: [0, 3, 4]}
    write(senders, TWO, BLOCK, 2 * BLOCK)
    assert numbers(senders) == {ONE.url: [0, 3, 4], TWO.url: [1]}
    lease = Lease(Segment(3 * BLOCK, SIZE))
    senders.begin(lease, Remote(ONE.url, SIZE, None))
    lease.pos = SIZE  # its worker has not noticed yet that it is revoked
    senders.forget([Segment(0, None)])
    senders.end(lease)
    assert numbers(senders) == {}
