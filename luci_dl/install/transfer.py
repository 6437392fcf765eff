"""One model: what stands there already, a transaction, a fetch into each part, the commit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import target
from luci_dl.disk.layout import staging_for
from luci_dl.disk.part import Part
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.events import Emit, Installed, Progress, Started, Warned
from luci_dl.install.inspect import Judge, to_fetch
from luci_dl.install.local_copies import Copies, Copy
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
    copies: Copies | None
    token: CancelToken
    emit: Emit

    def run(self) -> Installed:
        """Install all files or none.

        Raises: LuciError of every kind; then no target has changed, and `transaction.endings` tells of the parts.
        """
        began = time.monotonic()
        fetched = copied = 0
        with self.transaction:
            artifacts, how = self._missing()
            self._tell_standing({artifact.name for artifact in artifacts})
            copies = [self._find_copies(artifact) for artifact in artifacts]
            parts = [self._open(*each) for each in zip(artifacts, copies, strict=True)]  # room for all at first
            for part, found in zip(parts, copies, strict=True):
                if self._adopt(part, found):
                    copied += 1
                else:
                    fetched += self._fill(part)
                part.verify(self.token)
            self.transaction.commit()
        if copied and copied == len(parts):
            how = "copied"
        return self._installed(how, fetched, began)

    def only_look(self) -> Installed | None:
        """The model, if all of it is there and right; without a lock, and without writing anything.

        Raises: Interrupted; StorageError, for what cannot be read.
        """
        began, folder = time.monotonic(), self.plan.folder

        def look(artifact: Artifact) -> Found:
            return target.look(
                staging_for(folder, artifact.name), artifact, self.token, lambda _done: None, only_look=True
            )

        judge = Judge(folder, look, self.options.force, self.network, self.token).judge
        try:
            missing, how = to_fetch({each: judge(each).found for each in self.plan.artifacts}, self.options.force)
        except (IntegrityError, NetworkError):
            return None
        return None if missing else self._installed("newer" if how == "newer" else "already", 0, began)

    def _installed(self, how: str, fetched: int, began: float) -> Installed:
        targets = [self.plan.folder / artifact.name for artifact in self.plan.artifacts]
        size = sum(path.stat().st_size for path in targets)
        paths = tuple(str(path) for path in targets)
        return Installed(self.plan.reference, paths, size, how, fetched, time.monotonic() - began)

    def _tell_standing(self, missing: Collection[str]) -> None:
        """Let those who look at the whole model know that its other files are there."""
        for name in {artifact.name for artifact in self.plan.artifacts} - set(missing):
            with contextlib.suppress(OSError):  # somebody takes it away just now
                size = (self.plan.folder / name).stat().st_size
                self.transaction.report(name, size, size, 0.0)

    def _find_copies(self, artifact: Artifact) -> list[Copy]:
        """Copies on this machine that a digest could prove."""
        if self.copies is None:
            return []
        finder, target = self.copies, self.plan.folder / artifact.name
        found = run_cancellable(lambda: finder.find(artifact, target), self.token)
        if found and not artifact.provable:
            unproved = f"no digest is known of {artifact.name} to prove it with, so it is not taken"
            self.emit(Warned(f"{found[0].path}: {unproved} (--sha256 gives one)"))
            return []
        return found

    def _open(self, artifact: Artifact, copies: list[Copy]) -> Part:
        from luci_dl.install.copying import source_of  # this, and what follows: not where all is installed

        return self.transaction.open(artifact, run_cancellable(lambda: source_of(copies), self.token))

    def _adopt(self, part: Part, copies: list[Copy]) -> bool:
        """Whether a copy gave what is missing."""
        if part.received == part.size and not part.cloned:
            return False  # nothing is
        from luci_dl.install.copying import Adoption

        return Adoption(part, self.token, self.emit, self._tell).take(copies)

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
        retries = min(self.options.retries, 1) if host in self.network.lost else self.options.retries
        fetch = Fetch(
            self.network.client_for(artifact.urls[0]),
            artifact,
            part,
            retries=retries,
            connections=self.options.connections,
            pace=self.network.pace,
            token=self.token,
            emit=self.emit,
            tell=self._tell,
            check=part.check,
        )
        try:
            fetch.run()
        except NetworkError:
            self.network.lost.add(host)
            raise
        self.network.lost.discard(host)

    def _tell(self, progress: Progress) -> None:
        self.transaction.report(progress.name, progress.done, progress.total, progress.rate)

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

            run_cancellable(lambda: check_whole(part.staging.part), self.token)
        return digest

    def _missing(self) -> tuple[list[Artifact], str]:
        """The files that have to be fetched, and how the model counts as installed once they are there.

        Files that luci did not install, but that are right, are adopted. Raises: as `Judge.judge`.
        """
        folder, look = self.plan.folder, self.transaction.look
        judge = Judge(folder, look, self.options.force, self.network, self.token).judge
        there = {artifact: judge(artifact) for artifact in self.plan.artifacts}
        for standing in there.values():
            if standing.found.state == "adoptable":
                self.transaction.adopt(standing.artifact, standing.found)
        return to_fetch({artifact: standing.found for artifact, standing in there.items()}, self.options.force)
