"""The next page of a list, by its Link header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.net.links import next_link


@pytest.mark.parametrize(
    "header",
    [
        '<?page=2>; rel="next"',
        "<?page=2>;rel=next",
        "<?page=2>; REL=NEXT",
        "<?page=2>; rel='next'",
        '<?page=2> ; rel = "next"',
        '<?page=2>; rel="last next"',
        '<?page=2>; title="a, b; c"; rel="next"',
        '<?page=2>; title="<?page=9>; rel=next"; rel="next"',
        '<?page=1>; rel="prev", <?page=2>; rel="next", <?page=9>; rel="last"',
        '<?page=9>; rel="nextish", <?page=2>; rel="next"',
        '<?page=9>; data-rel="next"; rel="prev", <?page=2>; rel="next"',
        '<?page=9>; rel="prev"; rel="next", <?page=2>; rel="next"',
        "<style.css>; rel=preload; nopush, <?page=2>; rel=next",
    ],
)
def test_the_next_page_is_found_in_every_spelling(header: str) -> None:
    """It may have several relations and stand between other links; only its first `rel` counts."""
    assert next_link(header) == "?page=2"


@pytest.mark.parametrize("header", ["", "next", "<?page=2>", '<?page=2>; rel="prev"', '<?page=2>; title="rel=next"'])
def test_other_links_are_no_next_page(header: str) -> None:
    """The list ends with this page."""
    assert next_link(header) is None


@given(st.text('<>;,="\\ relnxt?'))
def test_any_header_can_be_read(header: str) -> None:
    """A hostile one, too."""
    assert next_link(header) is None or "<" in header
