"""One case of the torture, drawn from its seed: a file, its servers, and what goes wrong in each run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from luci_dl.net.situation import PATIENCE
from tests.torture.behaviours import Behaviour, Passes
from tests.torture.manners import ETAGS, MANNERS
from tests.torture.mishaps import MISHAPS

SIZES = (4097, 70_000, 300_001, 1_000_003, 3_000_001)
NAMES = ("m.gguf", "m.safetensors", "m.dat")
ROUTES = ("direct",) * 6 + ("same host", "other host", "relative", "raw", "fragment", "chain", "expiring", "hub")
_BY_LENGTH = {"page", "short", "long", "gzip"}
"""What only the length of the file gives away."""
_WITHOUT_LENGTH = {"chunked", "chunk names", "chunk zeros", "close delimited"}
_SUSPECT = {"html", "coding gzip", "coding br"}
"""What is believed only of a body as long as the file."""
_OTHER_LENGTH = {*_BY_LENGTH, "long announced", "short announced", "range lies"}
_PARTS = {"first part", "pieces of all"}
_TAILS = {"tail", "junk tail", "second answer"}
_QUARRELS = (
    (_BY_LENGTH, _WITHOUT_LENGTH),
    (_SUSPECT, _OTHER_LENGTH),
    (_TAILS, {"close delimited", "long announced"}),
    ({"further refused"}, {"stalled", "trickled", "late"}),
)
"""What does not pass together: luci could not know better, or the server learns late that a client has gone away."""
DAMAGES = ("none",) * 5 + ("cut", "grown", "flipped", "no journal", "cut journal", "junk journal", "no part")


@dataclass(frozen=True)
class Trait:
    """One thing that is not as it should be; a case can be repeated without it.

    Attributes:
        place: "manner", "mirror", "origin" (what redirects to the file), or the number of the run.
    """

    place: str
    name: str
    seed: int

    @property
    def behaviour(self) -> Behaviour:
        return MISHAPS.get(self.name) or next(group[self.name] for group in MANNERS.values() if self.name in group)


@dataclass(frozen=True)
class Case:
    """Attributes:
    digest: the user gives it.
    begun: an honest part of the file comes first, so that the size is known.
    tls: the servers speak https.
    stood: another file stands at the target before, and is to be replaced.
    runs: installs in turn, with few retries except in the last one.
    mirror: the file has a second address, which is honest but for its traits.
    """

    seed: int
    name: str
    size: int
    digest: bool
    route: str
    connections: int | None
    begun: bool
    tls: bool
    stood: bool
    mirror: bool
    runs: int
    damage: str
    traits: tuple[Trait, ...]

    def at(self, place: str) -> list[Trait]:
        return [trait for trait in self.traits if trait.place == place]

    @property
    def proved(self) -> bool:
        return self.digest or self.route == "hub"

    @property
    def must_pass(self) -> bool:
        """Whether the last run must install the file."""
        least = Passes.WITH_PATIENCE if not self.proved else Passes.WHEN_BEGUN if self.begun else Passes.WITH_DIGEST
        manners, mishaps = self.at("manner"), self.at(str(self.runs - 1))
        if any(trait.behaviour.passes is Passes.NEVER for trait in self.traits):
            return False
        if any(trait.behaviour.passes < least for trait in manners + mishaps):
            return False
        names = {trait.name for trait in self.traits}
        if not self.proved and names & _PARTS and names & (ETAGS.keys() | {"other edge"}):
            return False  # the rest cannot be requested
        if any(names & some and names & others for some, others in _QUARRELS):
            return False
        try_patience = any(trait.behaviour.passes in (Passes.WHEN_BEGUN, Passes.WITH_PATIENCE) for trait in mishaps)
        fails_otherwise = any(
            trait.name in {*MANNERS["ranges"], *MANNERS["limit"]} for trait in manners + self.at("origin")
        )
        return not try_patience or (len(mishaps) <= PATIENCE and not fails_otherwise)

    def without(self, dropped: set[int]) -> Case:
        """The case without some of its traits, by their number."""
        return replace(self, traits=tuple(trait for n, trait in enumerate(self.traits) if n not in dropped))

    def __str__(self) -> str:
        facts = f"{self.name} {self.size} {self.route} c={self.connections} runs={self.runs}"
        flags = [name for name in ("digest", "begun", "tls", "stood", "mirror") if getattr(self, name)]
        damage = [] if self.damage == "none" else [f"damage={self.damage}"]
        traits = [f"{n}:{trait.place}:{trait.name}" for n, trait in enumerate(self.traits)]
        return ", ".join([facts, *flags, *damage, *traits])


def draw(seed: int) -> Case:
    """The case of that seed."""
    random = Random(seed)
    digest = random.random() < 0.75
    route = random.choice(ROUTES)
    mirror = digest and route != "hub" and random.random() < 0.15
    runs = random.choice([1, 1, 2, 3])
    traits = _manners(random, "manner") + (_manners(random, "mirror") if mirror else [])
    if route != "direct" and random.random() < 0.2:
        traits.append(_trait(random, "origin", "each nth"))
    for run in range(runs):
        traits += [
            _trait(random, str(run), random.choice(list(MISHAPS))) for _ in range(random.choice([0, 1, 1, 2, 4]))
        ]
    if not digest and route != "hub":
        traits = [trait for trait in traits if not trait.behaviour.lies]
        if any(trait.name in _TAILS for trait in traits):  # they would make true what is announced
            traits = [trait for trait in traits if trait.name != "long announced"]
    return Case(
        seed=seed,
        name=random.choice(NAMES),
        size=random.choice(SIZES),
        digest=digest,
        route=route,
        connections=random.choice([1, 1, 2, 3, 4, 8, None]),
        begun=random.random() < 0.5,
        tls=random.random() < 0.15,
        stood=random.random() < 0.1,
        mirror=mirror,
        runs=runs,
        damage=random.choice(DAMAGES),
        traits=tuple(traits),
    )


def _manners(random: Random, place: str) -> list[Trait]:
    groups = random.sample(sorted(MANNERS), random.choice([0, 1, 1, 2, 2, 3]))
    return [_trait(random, place, random.choice(sorted(MANNERS[group]))) for group in groups]


def _trait(random: Random, place: str, name: str) -> Trait:
    return Trait(place, name, random.getrandbits(32))
