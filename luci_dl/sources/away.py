"""A server that cannot be reached: others are asked in its place, and the user reads whose word counts then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from luci_dl.errors import NetworkError, ResolveError, UsageError
from luci_dl.events import Warned
from luci_dl.net.origin import host_of
from luci_dl.sources.context import ResolveContext

T = TypeVar("T")

AWAY_S = 10.0
"""A server that has not answered for so long counts as away, if there is another one on the LAN."""


def ask(
    base: str, mirrors: Sequence[str], context: ResolveContext, what: str, attempt: Callable[[ResolveContext, str], T]
) -> T:
    """As `ResolveContext.ask`."""
    others = {**{each: f"the mirror {each}" for each in mirrors}, **{each: each for each in context.endpoints.lan}}
    others.pop(base, None)
    failed_hosts, reasons = context.network.failed_hosts, list[str]()
    patience = AWAY_S if context.endpoints.lan else context.patience
    impatient = replace(context, retries=min(context.retries, 1), patience=patience)
    in_turn = [base, *others]
    if context.endpoints.lan and host_of(base) in failed_hosts:
        reasons.append(f"{host_of(base)} could not be reached before")
        in_turn = [*others, base]
    for each in in_turn:
        try:
            answer = attempt(impatient, each)
        except NetworkError as error:
            failed_hosts.add(host_of(each))
            reasons.append(error.message)
        except (ResolveError, UsageError) as error:
            if each == base:
                raise
            reasons.append(f"{others[each]}: {error.message}")
        else:
            failed_hosts.discard(host_of(each))
            if each != base:
                context.emit(Warned(f"{reasons[0]}; {what} known only from {others[each]}"))
            return answer
    if not mirrors:  # the LAN is no reason to give up sooner
        return attempt(context, base)
    raise NetworkError("\n".join(reasons), "Try again later, or name other mirrors in LUCI_MIRRORS.")
