"""What an address has shown."""

from __future__ import annotations

import pytest

from luci_dl.net.mirrors import SHORT_S, Address
from luci_dl.net.redirects import Location
from luci_dl.net.situation import PATIENCE


@pytest.mark.parametrize(("served_s", "is_kept"), [(SHORT_S / 2, False), (2 * SHORT_S, True)])
def test_only_locations_that_are_refused_at_once_are_not_kept(served_s: float, is_kept: bool) -> None:
    """A signed address that has expired is followed by another one, as often as that happens."""
    address, now = Address("https://h/m"), 0.0
    for number in range(PATIENCE + 1):
        address.learn_location(Location(f"https://store/m?{number}"), now)
        now += served_s
        if number < PATIENCE:
            assert address.location
            address.forget_location(address.location, now)
            assert address.location is None
    assert (address.location is not None) == is_kept
    assert address.redirects
