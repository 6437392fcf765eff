"""One model: a transaction around the actions that `inspect` decided on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk.part import Part
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError, StorageError
from luci_dl.events import Emit, Installed, Progress, Started, Warned
from luci_dl.install.actions import Action, Adopt, Copy, Fetch, Keep, Refuse
from luci_dl.install.inspect import Inspector, read_only_look
from luci_dl.install.local_copies import Copies
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan, kind_of


@dataclass(frozen=True)
class Installation:
    """The install of one plan, in the context of its run."""

    plan: Plan
    transaction: Transaction
    options: Options
    network: Network
    copies: Copies
    token: CancelToken
    emit: Emit

    def run(self) -> Installed:
        """Install all files or none.

        Raises: LuciError of every kind; then no target has changed, and `transaction.endings` has what became of the
            parts.
        """
        began, fetched, copied = time.monotonic(), 0, True
        with self.transaction:
            actions = self._inspector(self.transaction.look).actions(self.plan.artifacts)
            size = sum(map(self._keep, actions))
            todo = [action for action in actions if isinstance(action, Fetch)]
            parts = [self._open(action) for action in todo]  # room for all before the first byte
            for action, part in zip(todo, parts, strict=True):
                if not self._copy(action, part):
                    copied = False
                    fetched += self._fill(part)
                part.verify(self.token)
                size += part.size or 0
            self.transaction.commit()  # from here on nothing fails: not even the targets' sizes are asked for
        how = _how(actions) if not todo else "copied" if copied else "downloaded"
        return self._installed(how, size, fetched, began)

    def look_only(self) -> Installed | None:
        """The model, if all of it is there and right; takes no lock and writes nothing.

        Raises: Interrupted; StorageError, for what cannot be read.
        """
        began = time.monotonic()
        look = read_only_look(self.plan.folder, self.token, self.emit)
        actions = list(self._inspector(look).decide(self.plan.artifacts).values())
        for action in actions:
            if isinstance(action, Refuse) and isinstance(action.error, StorageError):
                raise action.error
        there = [action for action in actions if isinstance(action, Keep)]
        if len(there) < len(actions):
            return None
        how = "newer" if _how(there) == "newer" else "already"  # nothing is adopted here
        return self._installed(how, sum(action.found.size for action in there), 0, began)

    def _inspector(self, look: Callable[[Artifact], Found]) -> Inspector:
        return Inspector(self.plan.folder, self.options, self.network, self.copies, self.token, self.emit, look)

    def _installed(self, how: str, size: int, fetched: int, began: float) -> Installed:
        paths = tuple(str(self.plan.folder / artifact.name) for artifact in self.plan.artifacts)
        return Installed(self.plan.reference, paths, size, how, fetched, time.monotonic() - began)

    def _keep(self, action: Action) -> int:
        """Adopt and report a file that stays. Returns: its size in bytes. Raises: why it is refused."""
        if isinstance(action, Refuse):
            raise action.error
        if not isinstance(action, Keep):
            return 0
        if isinstance(action, Adopt):
            self.transaction.adopt(action.artifact, action.found)
        size = action.found.size
        self.transaction.tell(action.artifact.name, size, size, 0.0)
        return size

    def _open(self, action: Fetch) -> Part:
        from luci_dl.install.copying import source_of  # this, and what follows: not where all is installed

        copies = action.copies if isinstance(action, Copy) else ()
        return self.transaction.open(action.artifact, run_cancellable(lambda: source_of(copies), self.token))

    def _copy(self, action: Fetch, part: Part) -> bool:
        """Whether a copy on this machine gave what is missing."""
        if not isinstance(action, Copy) or (part.received == part.size and not part.cloned):
            return False  # nothing is missing
        from luci_dl.install.copying import Adoption

        return Adoption(part, self.token, self.emit, self._tell).take(action.copies)

    def _fill(self, part: Part) -> int:
        """Fetch what is missing of a file. Returns: bytes that came over the network."""
        artifact, copied = part.artifact, part.fetched
        self.emit(Started(artifact.name, part.size, part.received))
        self._fetch(artifact, part)
        if len(artifact.urls) > 1:
            self._distrust_mirrors(artifact, part)
        if not part.provable:
            digest = self._prove(part)
            header = " and header" if kind_of(artifact.name) == "gguf" else ""
            checked = f"nothing but its length{header} was checked"
            self.emit(Warned(f"{artifact.name}: no digest is known, so {checked}; its SHA-256 is {digest}"))
        return part.fetched - copied

    def _fetch(self, artifact: Artifact, part: Part) -> None:
        if part.received == part.size:
            return  # a kept part that is whole needs no server, which may be out of reach
        from luci_dl.net.fetch import Fetch  # the network: not before it is needed

        host = urlsplit(artifact.urls[0]).netloc
        retries = min(self.options.retries, 1) if host in self.network.failed_hosts else self.options.retries
        fetch = Fetch(
            self.network.client_for(artifact.urls[0]),
            artifact,
            part,
            retries=retries,
            connections=self.options.connections,
            limiter=self.network.limiter,
            token=self.token,
            emit=self.emit,
            report=self._tell,
            check=part.check,
        )
        try:
            fetch.run()
        except NetworkError:
            self.network.failed_hosts.add(host)
            raise
        self.network.failed_hosts.discard(host)

    def _tell(self, progress: Progress) -> None:
        self.transaction.tell(progress.name, progress.done, progress.total, progress.rate)

    def _distrust_mirrors(self, artifact: Artifact, part: Part) -> None:
        """Wrong bytes may be one mirror's: before they count as wrong, all comes from each address alone, in turn."""
        wrong = self._wrong(part)
        for url in artifact.urls:
            if wrong is None:
                return
            self.emit(Warned(f"{wrong.message}; fetching it again from {url} alone"))
            part.forget()
            try:
                headers = artifact.headers if url == artifact.urls[0] else {}  # no mirror is told who asks
                self._fetch(replace(artifact, urls=(url,), headers=headers), part)
                wrong = self._wrong(part)
            except (IntegrityError, NetworkError, ResolveError) as error:
                wrong = error
        if wrong:
            raise wrong

    def _wrong(self, part: Part) -> LuciError | None:
        try:
            self._prove(part)
        except IntegrityError as error:
            return error
        return None

    def _prove(self, part: Part) -> str:
        """The digest of the part; where nobody knows the right one, the file itself may say that it is cut off.

        Raises: IntegrityError; Interrupted; StorageError.
        """
        digest = part.verify(self.token)
        if not part.provable and kind_of(part.artifact.name) == "gguf":
            from luci_dl.gguf.header import check_whole

            run_cancellable(lambda: check_whole(part.staging.part, part.staging.target.name), self.token)
        return digest


def _how(actions: Sequence[Action]) -> str:
    """How a model of which all files stay counts as installed."""
    states = {action.found.state for action in actions if isinstance(action, Keep)}
    return "newer" if "newer" in states else "adopted" if "adoptable" in states else "already"
