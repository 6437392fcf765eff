"""Events: what the engine reports, as frozen data. It hands them to one callable and never prints.

To add one: a class in `installing` or `maintenance`, and its sentence in `ui/describe.py`.
"""

from luci_dl.events.base import *  # noqa: F403
from luci_dl.events.base import Event as Event
from luci_dl.events.installing import *  # noqa: F403
from luci_dl.events.maintenance import *  # noqa: F403


def event_types() -> list[type[Event]]:
    """The class of every kind of event."""
    classes = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Event)]
    return [kind for kind in classes if kind.__module__ != Event.__module__]
