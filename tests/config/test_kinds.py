from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.config.kinds import HOSTS, parse_size, size_text
from luci_dl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("20M", 20_000_000),
        ("20mb", 20_000_000),
        ("1.5G", 1_500_000_000),
        ("0.29G", 290_000_000),
        ("2 TB", 2_000_000_000_000),
        (" 1k ", 1000),
        ("1KiB", 1024),
        ("20MiB", 20 << 20),
        ("1Gi", 1 << 30),
        ("1.5GiB", 3 << 29),
    ],
)
def test_a_size_is_read_in_decimal_and_binary_units(text: str, size: int) -> None:
    """Case does not matter, and the B is optional."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1e3", "1,5G", "1.", ".5G", "1 G B", "20Mbit", "1P", "١", "9" * 5000])
def test_an_invalid_size_is_refused(text: str) -> None:
    """The message shows what a size looks like."""
    with pytest.raises(UsageError, match="expected a size such as 512, 20M"):
        parse_size(text)


@pytest.mark.parametrize("size", [0, 1, 512, 1000, 1024, 1536, 20_000_000, 1 << 30, 3 << 29, 2 * 10**12, 999_999_999])
def test_the_text_of_a_size_is_read_back_exactly(size: int) -> None:
    """In the largest unit that divides it."""
    assert parse_size(size_text(size)) == size
    assert size_text(1 << 30) == "1GiB"
    assert size_text(20_000_000) == "20M"


def test_a_password_before_a_host_is_not_shown() -> None:
    """Where somebody pasted an address."""
    with pytest.raises(UsageError, match=r"models\.lan:x") as caught:
        HOSTS.parse(["me:s3cr3t@models.lan:x"], "http_hosts", Path())
    assert "s3cr3t" not in caught.value.message
