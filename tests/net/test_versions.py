"""Which bytes belong together: ranges, versions and lengths, told truly or not."""

from __future__ import annotations

import pytest

from luci_dl.errors import IntegrityError, NetworkError
from tests.net.fetching import CUT, DATA, HALF, OK, Run, proved
from tests.net.sink import MemorySink
from tests.servers import faults


@pytest.mark.parametrize("fault", [faults.no_ranges(), faults.wrong_range(shift=1), faults.wrong_range(total=7)])
def test_without_the_range_asked_it_starts_over(run: Run, fault: faults.Fault) -> None:
    """Never are bytes appended that belong elsewhere."""
    run.fetch(CUT, fault, OK)
    proved(run)
    assert run.sink.restarts == 1
    assert run.asked[-1] == ((f"bytes={HALF}-", run.etag()) if len(run.asked) == 2 else (None, None))


@pytest.mark.parametrize("fault", [faults.status(416), faults.headers(Content_Range="bytes */5")])
def test_a_range_that_is_refused_is_not_asked_again(run: Run, fault: faults.Fault) -> None:
    """After a 416, or a 206 without a range, the whole file is asked for."""
    run.fetch(CUT, fault, OK)
    proved(run)
    assert (run.asked[2], run.sink.restarts) == ((None, None), 1)


def test_a_server_that_never_honours_ranges_and_cuts_is_given_up(run: Run) -> None:
    """Bytes fetched again are no progress."""
    with pytest.raises(NetworkError, match="was lost"):
        run.fetch(faults.no_ranges() + CUT)
    assert len(run.retries) == 3


def test_a_changed_file_starts_over_when_its_digest_is_known(run: Run) -> None:
    """If-Range makes the server say so; nothing of two versions is mixed."""
    new = DATA[::-1]
    run.fetch(CUT, faults.changed(new))
    assert (bytes(run.sink.data), run.sink.restarts) == (new, 1)


def test_a_changed_file_without_digest_is_an_integrity_error(run: Run) -> None:
    """There is nothing to prove the new one by."""
    run.sink = MemorySink(provable=False)
    with pytest.raises(IntegrityError, match="changed"):
        run.fetch(CUT, faults.changed(DATA[::-1]))
    assert not run.sink.leased


def test_a_server_that_changes_its_file_each_time_is_given_up(run: Run) -> None:
    """Another version with each request is no reason to ask for ever."""
    versions = [faults.changed(DATA + bytes([n])) + CUT for n in range(20)]
    with pytest.raises(NetworkError):
        run.fetch(*versions, retries=5)
    assert len(run.asked) == 6


def test_without_validator_and_digest_it_starts_over(run: Run) -> None:
    """Nothing says that the rest would belong to the beginning."""
    run.sink = MemorySink(provable=False)
    run.fetch(faults.no_etag() + CUT, faults.no_etag())
    proved(run)
    assert (run.asked, run.sink.restarts) == ([(None, None)] * 2, 1)


def test_without_a_length_and_a_digest_nobody_knows_the_end(run: Run) -> None:
    """A body that ends with its connection may have been cut."""
    run.sink = MemorySink(provable=False)
    with pytest.raises(IntegrityError, match="how long the file is"):
        run.fetch(faults.close_delimited() + CUT)


def test_a_body_without_end_is_read_up_to_the_known_size(run: Run) -> None:
    """What the digest proves is right, however the server goes on."""
    run.sink = MemorySink(size=len(DATA))
    run.fetch(faults.endless())
    proved(run)


@pytest.mark.parametrize("fault", [faults.longer(9), faults.close_delimited() + faults.longer(9)])
def test_more_than_the_file_may_have_is_refused(run: Run, fault: faults.Fault) -> None:
    """The sink has the last word, and the sender is not read to its end."""
    run.sink = MemorySink(size=len(DATA), provable=False)
    with pytest.raises(IntegrityError, match="more than"):
        run.fetch(fault)
    assert len(run.sink.data) <= len(DATA)
    assert not run.sink.leased


def test_a_body_longer_than_announced_is_cut_there(run: Run) -> None:
    """Content-Length is where the body ends; what follows does not spoil the next request on the connection."""
    run.fetch(faults.announce(-9))
    assert bytes(run.sink.data) == DATA[:-9]


def test_less_than_the_file_must_have_is_given_up(run: Run) -> None:
    """Each attempt brings the same short file."""
    run.sink = MemorySink(size=len(DATA))
    with pytest.raises(NetworkError):
        run.fetch(faults.shorter(9), retries=1)


def test_a_flipped_byte_arrives_as_it_was_sent(run: Run) -> None:
    """The net wing proves nothing: that is done at the end, over what is on disk."""
    run.fetch(faults.flipped(5))
    assert [at for at in range(len(DATA)) if run.sink.data[at] != DATA[at]] == [5]
