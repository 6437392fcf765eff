"""What one worker has to fetch, and the requests for it."""

from __future__ import annotations

from dataclasses import field, replace

from luci_dl.frozen import frozen
from luci_dl.model import Artifact
from luci_dl.net.client import Client, Response
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.redirects import Location
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, Remedy
from luci_dl.net.situation import Situation
from luci_dl.plan import Lease, Sink


@frozen
class Job:
    """What a worker has to do.

    Attributes:
        url: which address of the artifact to request.
        situation: what is known of the file and the address.
        whole_file: request the whole file, since ranges bring nothing.
        probe: find out first whether the address serves the whole file, because it refused a range.
        location: where the address redirected an earlier request; None to ask the address itself.
        block_size: bytes to read at a time, at most.
    """

    artifact: Artifact
    url: str = field(repr=False)
    sink: Sink
    lease: Lease
    situation: Situation
    whole_file: bool
    probe: bool
    location: Location | None
    block_size: int
    limiter: RateLimiter

    def request(self, lease: Lease) -> RangeRequest:
        """A range only if the bytes can be proved to belong to those that are there; else the whole file.

        A digest does that whatever the validator, and the edges of a server may each have their own validators.
        """
        sink = self.sink
        validator = None if sink.provable else sink.validator(self.url)
        start, end = lease.pos, None if lease.end == sink.size else lease.end
        if self.whole_file or not (validator or sink.provable):
            start, end, validator = 0, None, None
        plain = start == 0 and end is None and (self.whole_file or self.probe)
        return RangeRequest(self.url, start, end, validator, plain)

    def get(self, client: Client, request: RangeRequest) -> Response:
        """The response; to a plain request if that to a range from the first byte on is of no use.

        Raises: as `Client.get`.
        """
        headers = self.artifact.headers if self.url == self.artifact.urls[0] else {}
        try:
            return client.get(request, self.situation, headers, self.artifact.repository, self.location)
        except AttemptFailed as failure:
            if failure.remedy not in (Remedy.PROBE, Remedy.NO_RANGES) or request.plain or not request.is_whole:
                raise
        return self.get(client, replace(request, plain=True))

    def check_rest(self, lease: Lease) -> None:
        """Raises: AttemptFailed, when the next request would bring what the one for this lease brought."""
        if lease.pos != lease.end and self.request(lease).is_whole:
            message = f"the server sent {lease.pos} bytes instead of the whole file"
            raise AttemptFailed(message, remedy=Remedy.PROBE)
