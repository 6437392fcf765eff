"""Which bytes belong together: ranges, versions and lengths, from servers that lie or not."""

from __future__ import annotations

import pytest

from luci_dl.errors import IntegrityError, NetworkError, ResolveError
from tests.net.fetching import CUT, DATA, HALF, OK, Run, proved
from tests.net.sink import MemorySink
from tests.servers import faults

WRONG = faults.wrong_range(shift=1), faults.wrong_range(total=7), faults.headers(Content_Range="bytes */5")


@pytest.mark.parametrize("fault", [faults.no_ranges(), *WRONG])
def test_without_the_requested_range_it_starts_over(run: Run, fault: faults.Fault) -> None:
    """Bytes that belong elsewhere are never appended."""
    run.fetch(CUT, fault, OK, fault)
    proved(run)
    assert run.sink.restarts == 1


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_range_says_nothing_of_the_next_one(run: Run, fault: faults.Fault) -> None:
    """The bytes that are there are kept."""
    run.fetch(CUT, fault, OK, OK)
    proved(run)
    assert run.sink.restarts == 0


@pytest.mark.parametrize("status", [400, 403, 405, 406, 412, 416, 501])
def test_a_server_that_refuses_only_ranges_gets_a_plain_request(run: Run, status: int) -> None:
    """At once, and nothing is said of it."""
    run.fetch(faults.to_ranges(faults.status(status)), retries=0)
    proved(run)
    assert (run.asked, run.retries) == ([("bytes=0-", None), (None, None)], [])


@pytest.mark.parametrize("fault", [*WRONG, faults.content_range(None), faults.at_most(1000), faults.multipart()])
@pytest.mark.parametrize("provable", [True, False])
def test_a_useless_range_from_the_first_byte_on_gets_a_plain_request(
    run: Run, fault: faults.Fault, provable: bool
) -> None:
    """It has no place or another one, or is tiny."""
    run.sink = MemorySink(provable=provable)
    run.fetch(fault, retries=0)
    proved(run)
    assert (run.asked, run.retries) == ([("bytes=0-", None), (None, None)], [])


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (410, 1), (401, 2), (403, 2), (400, 2), (416, 2)])
def test_a_file_that_is_refused_costs_a_request_or_two(run: Run, status: int, requests: int) -> None:
    """The second one only where the range may be the reason. No retry is needed to see what is wrong."""
    with pytest.raises(ResolveError):
        run.fetch(faults.status(status), retries=0)
    assert [asked for asked, _ in run.asked] == ["bytes=0-", None][:requests]


@pytest.mark.parametrize("lost", [faults.hangs_up(), faults.cut(0), faults.status(500)])
def test_a_range_from_the_first_byte_on_that_never_comes_gets_a_plain_request(run: Run, lost: faults.Fault) -> None:
    """After the third failure in a row."""
    run.fetch(faults.to_ranges(lost), retries=3)
    proved(run)
    assert [asked for asked, _ in run.asked] == ["bytes=0-"] * 3 + [None]


REFUSED = 416, 403, 404, 405, 501


@pytest.mark.parametrize("status", REFUSED)
def test_a_refused_range_says_nothing_of_the_file(run: Run, status: int) -> None:
    """If the server serves the whole file and refuses the range again, that response is taken."""
    run.fetch(CUT, faults.status(status), OK, faults.status(status))
    proved(run)
    rest = (f"bytes={HALF}-", None)
    assert (run.asked, run.sink.restarts) == ([("bytes=0-", None), rest, (None, None), rest], 1)


@pytest.mark.parametrize("status", REFUSED)
def test_a_range_that_was_refused_once_may_be_served(run: Run, status: int) -> None:
    """Then the bytes that are there are kept."""
    run.fetch(CUT, faults.status(status), OK, OK)
    proved(run)
    assert run.sink.restarts == 0


def test_a_server_that_fails_at_every_range_is_asked_for_the_whole_file(run: Run) -> None:
    """An error that may pass is believed to do so, but not for ever."""
    run.fetch(CUT, faults.to_ranges(faults.status(500)), retries=6)
    proved(run)
    assert run.sink.restarts == 1


@pytest.mark.parametrize("lost", [faults.hangs_up(), faults.cut(0), faults.login_page(), faults.status(200)])
def test_ranges_that_are_never_answered_are_given_up(run: Run, lost: faults.Fault) -> None:
    """The whole file is requested then, and served."""
    run.fetch(CUT, faults.to_ranges(lost), retries=9)
    proved(run)
    assert run.sink.restarts == 1


@pytest.mark.parametrize("failing", [faults.hangs_up(), faults.status(503)])
def test_a_server_that_is_down_for_long_costs_no_byte_that_is_there(run: Run, failing: faults.Fault) -> None:
    """Also if it serves the whole file again before it serves ranges."""
    run.fetch(CUT, *[failing] * 6, OK, failing, OK, OK, retries=9)
    proved(run)
    assert run.sink.restarts == 0


@pytest.mark.parametrize(
    "passing",
    [
        faults.garbage(),
        faults.redirect("/m.gguf?round"),
        faults.status(404),
        faults.status(204),
        faults.page(b'{"error": "later"}', "application/json"),
    ],
)
def test_an_address_that_has_served_bytes_is_not_given_up_at_once(run: Run, passing: faults.Fault) -> None:
    """Whatever it sends then may pass, and what is there is kept."""
    run.fetch(CUT, passing, OK)
    proved(run)
    assert run.sink.restarts == 0


def test_an_address_that_has_served_bytes_is_not_kept_for_ever(run: Run) -> None:
    """The third failure in a row ends the fetch, with its own error."""
    with pytest.raises(NetworkError, match="does not speak HTTP"):
        run.fetch(CUT, faults.garbage(), retries=9)
    assert len(run.asked) == 4


def test_an_error_after_the_last_retry_is_the_server_s_own(run: Run) -> None:
    """Not one of the network."""
    with pytest.raises(NetworkError, match=r"does not speak HTTP$"):
        run.fetch(CUT, faults.garbage(), retries=1)


@pytest.mark.parametrize("other", [faults.gzipped(), faults.shorter(9), faults.longer(9)])
def test_another_file_in_between_is_not_believed(run: Run, other: faults.Fault) -> None:
    """Neither when a range of it is sent nor when all of it is."""
    run.fetch(CUT, other, other, OK)
    proved(run)


def test_a_file_whose_end_was_lost_is_not_fetched_again(run: Run) -> None:
    """Of a body in chunks all bytes came, but not the last chunk, which says so."""
    run.fetch(faults.no_last_chunk(), OK)
    proved(run)
    assert (run.sink.restarts, run.server.sent()) == (0, len(DATA))


def test_a_server_that_sends_only_the_beginning_is_given_up(run: Run) -> None:
    """Without a validator the rest cannot be requested; the same beginning again is no progress."""
    run.sink = MemorySink(provable=False)
    with pytest.raises(NetworkError, match="instead of the whole file"):
        run.fetch(faults.no_etag() + faults.at_most(HALF) + faults.whole_as_range(count=HALF))
    assert len(run.asked) == 4


def test_a_file_that_is_gone_is_an_error_and_keeps_the_bytes(run: Run) -> None:
    """The whole file is refused as well."""
    with pytest.raises(ResolveError, match="no such file"):
        run.fetch(CUT, faults.status(404))
    assert (run.sink.received, run.sink.restarts) == (HALF, 0)
    assert len(run.asked) <= 5


def test_a_range_in_several_pieces_is_put_together(run: Run) -> None:
    """A server may send less than was requested; each response is taken, and the next request begins at its end."""
    run.sink = MemorySink(size=len(DATA), there=DATA[:1000])
    run.fetch(faults.at_most(100_000))
    proved(run)
    assert run.retries == []
    assert [asked for asked, _ in run.asked] == [f"bytes={1000 + n * 100_000}-" for n in range(4)]


def test_a_server_without_ranges_that_loses_connections_is_given_up(run: Run) -> None:
    """Fetching the same bytes again is no progress."""
    with pytest.raises(NetworkError, match="was lost"):
        run.fetch(faults.no_ranges() + CUT)
    assert len(run.retries) == 3


def test_a_changed_file_without_digest_starts_over(run: Run) -> None:
    """If-Range makes the server send all of the new one; two versions are never mixed."""
    new = DATA[::-1]
    run.sink = MemorySink(provable=False)
    run.fetch(CUT, faults.changed(new))
    assert (bytes(run.sink.data), run.sink.restarts) == (new, 1)


def test_a_file_that_changes_again_is_an_integrity_error(run: Run) -> None:
    """Without a digest, nothing could prove any of its versions."""
    run.sink = MemorySink(provable=False)
    with pytest.raises(IntegrityError, match="changed"):
        run.fetch(CUT, faults.changed(DATA[::-1]) + CUT, faults.changed(DATA[::2]))
    assert not run.sink.leased


def test_with_a_digest_the_etag_does_not_matter(run: Run) -> None:
    """The edges of a server may each have their own; nothing is fetched twice."""
    run.fetch(CUT, faults.headers(ETag='"edge2"') + CUT, faults.headers(ETag='"edge3"'))
    proved(run)
    assert (run.sink.restarts, run.server.sent()) == (0, len(DATA))


def test_a_server_that_changes_its_file_each_time_is_given_up(run: Run) -> None:
    """A new version with each request does not cause endless retries."""
    versions = [faults.changed(DATA + bytes(n)) + CUT for n in range(20)]
    with pytest.raises(NetworkError):
        run.fetch(*versions, retries=5)
    assert len(run.retries) == 5


def test_without_validator_and_digest_it_starts_over(run: Run) -> None:
    """Nothing proves that the rest belongs to the beginning."""
    run.sink = MemorySink(provable=False)
    run.fetch(faults.no_etag() + CUT, faults.no_etag())
    proved(run)
    assert (run.asked, run.sink.restarts) == ([("bytes=0-", None)] * 2, 1)


def test_a_cut_without_a_length_is_seen_by_the_size_that_was_known(run: Run) -> None:
    """Nothing but the earlier responses shows it when there is no digest."""
    run.sink = MemorySink(provable=False)
    run.fetch(faults.no_etag() + CUT, faults.no_etag() + faults.close_delimited() + CUT, faults.no_etag())
    proved(run)


def test_without_a_length_and_a_digest_the_end_is_unknown(run: Run) -> None:
    """A body that ends with its connection may be incomplete."""
    run.sink = MemorySink(provable=False)
    with pytest.raises(IntegrityError, match="how long the file is"):
        run.fetch(faults.no_ranges() + faults.close_delimited() + CUT)


def test_a_body_without_end_is_read_up_to_the_known_size(run: Run) -> None:
    """The digest proves the bytes, whatever the server sends after them."""
    run.sink = MemorySink(size=len(DATA))
    run.fetch(faults.endless())
    proved(run)


@pytest.mark.parametrize("fault", [faults.longer(9), faults.close_delimited() + faults.longer(9)])
def test_a_body_longer_than_the_file_is_refused(run: Run, fault: faults.Fault) -> None:
    """The sink refuses the bytes, and the rest is not read."""
    run.sink = MemorySink(size=len(DATA), provable=False)
    with pytest.raises(IntegrityError, match="more than"):
        run.fetch(fault)
    assert len(run.sink.data) <= len(DATA)
    assert not run.sink.leased


def test_a_body_longer_than_announced_is_cut_there(run: Run) -> None:
    """The body ends at Content-Length; what follows does not spoil the next response."""
    run.fetch(faults.announce(-9))
    assert bytes(run.sink.data) == DATA[:-9]


def test_a_file_that_is_too_short_is_given_up(run: Run) -> None:
    """Each attempt gets the same short file."""
    run.sink = MemorySink(size=len(DATA))
    with pytest.raises(NetworkError):
        run.fetch(faults.shorter(9), retries=1)


def test_a_flipped_byte_is_not_noticed_here(run: Run) -> None:
    """net/ does not verify bytes: that is done at the end, on disk."""
    run.fetch(faults.flipped(5))
    assert [at for at in range(len(DATA)) if run.sink.data[at] != DATA[at]] == [5]
