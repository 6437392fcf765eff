"""The page in a real browser: Chromium without a window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from luci_dl.errors import NetworkError
from luci_dl.serve.ledger import Ledger
from tests.browser import Browser, browser
from tests.procs import wait_until
from tests.serve.stage import Pulled, Stage, digest, file, shown
from tests.tools import need

LONG = "a-model-with-a-very-long-name-that-has-no-place-to-break-" + "0123456789abcdef" * 8
HOSTILE = "<img src=x onerror=document.title='owned'>{{7*7}}</td><script>document.title='owned'</script>.gguf"


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser(need("chromedriver"), need("chromium")) as window:
        yield window


def busy() -> Stage:
    """A server with much to show."""
    clients = [f"fd00::{n:x}:ffff:ffff:ffff" for n in range(9)]
    stage = Stage(
        Ledger(),
        [file(f"{LONG}.gguf", 7 * 10**9, f"hf:O/R@{'0' * 40}/{LONG}"), file("b.gguf", 5, access="gated")],
        [Pulled("coming.gguf", 1000, 420, clients), Pulled(LONG, 9, 1, clients, LONG, error=NetworkError(LONG))],
    )
    stage.ledger.received(digest("coming.gguf"), 420)
    stage.ledger.sent(digest("coming.gguf"), "10.0.0.5", 999_999_999_999)
    return stage


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 760, 1280])
def test_the_page_fits_any_window(window: Browser, width: int, dark: bool) -> None:
    """Nothing is cut off or makes it scroll sideways, and the console is empty: no rule of its policy is broken."""
    with shown(busy()) as port:
        window.look(width, dark=dark)
        window.open(address(port))
        wait_until(lambda: window.text("#line") == "Live")
        assert window.run("return document.documentElement.scrollWidth") <= width
        assert window.run(OVERFLOWING) == []
        ground = window.run("return getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(13, 17, 23)" if dark else "rgb(246, 248, 250)")
        assert window.complaints() == []
        window.open("about:blank")
        window.complaints()


OVERFLOWING = """
return [...document.querySelectorAll("main *")]
  .filter((each) => each.tagName !== "path" && !each.closest("thead, template"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth)
  .map((each) => each.outerHTML.slice(0, 80));
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(window: Browser, dark: bool) -> None:
    """Its contrast to the ground is at least 4.5 to 1, as WCAG AA wants it."""
    with shown(busy()) as port:
        window.look(1280, dark=dark)
        window.open(address(port))
        assert window.run(CONTRASTS) == []
        window.open("about:blank")


CONTRASTS = """
const parts = (color) => color.match(/[0-9.]+/g).map(Number);
const light = (color) => {
  const [r, g, b] = parts(color).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = (each) => {
  for (; each; each = each.parentElement) {
    const color = getComputedStyle(each).backgroundColor;
    if (parts(color)[3] !== 0) return color;
  }
};
return [...document.querySelectorAll("main *")]
  .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => [each, light(getComputedStyle(each).color), light(ground(each))])
  .map(([each, a, b]) => [each.outerHTML.slice(0, 80), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)])
  .filter(([, contrast]) => contrast < 4.5);
"""


def test_changes_are_seen_while_the_page_is_open(window: Browser) -> None:
    """Numbers, bars and rows; what is there already stays in its place."""
    stage = Stage(files=[file("b.gguf", 2000)], running=[Pulled("coming.gguf", 1000, 100, ["10.0.0.5"])])
    with shown(stage) as port:
        window.look(1280)
        window.open(address(port))
        wait_until(lambda: window.text("#line") == "Live")
        window.run("for (const row of document.querySelectorAll('tbody tr')) row.dataset.marked = ''")
        stage.running[0].received = 700
        stage.ledger.sent(digest("b.gguf"), "10.0.0.5", 6000)
        wait_until(lambda: window.run("return document.querySelector('progress').value") == 700)
        wait_until(lambda: "3" in window.text(".files tbody"))
        assert window.text(".lan b") == "6.0\u00a0kB"
        stage.files = [file("a.gguf", 1000), *stage.files]
        stage.running.clear()
        wait_until(lambda: window.run("return document.querySelectorAll('.files tbody tr').length") == 2)
        assert window.run("return document.querySelectorAll('.files [data-marked]').length") == 1
        assert window.text(".files tbody tr").startswith("a.gguf")
        assert not window.run("return document.querySelector('.fetching').checkVisibility()")
        assert window.complaints() == []
        window.open("about:blank")


def test_a_lost_connection_is_said_and_found_again(window: Browser) -> None:
    """By the server that is started again at the same port."""
    stage = Stage()
    with shown(stage) as port:
        window.look(390)
        window.open(address(port))
        wait_until(lambda: window.text("#line") == "Live")
    wait_until(lambda: window.text("#line") == "Connection lost, trying again")
    stage.files.append(file("new.gguf", 1))
    with shown(stage, port):
        wait_until(lambda: window.text("#line") == "Live", 20)
        wait_until(lambda: "new.gguf" in window.text(".files tbody"))
        window.open("about:blank")
    window.complaints()


def test_without_scripts_the_page_is_a_table_that_reloads(window: Browser) -> None:
    """The numbers of now, and those of later without a key pressed."""
    stage = busy()
    with shown(stage) as port:
        window.look(1280, scripts=False)
        window.open(address(port))
        assert "42%" in window.text(".fetching tbody")
        assert window.run("return document.querySelector('progress').value") == 420
        assert window.text("#line") == "Reloads every 5 seconds"
        stage.running[0].received = 870
        wait_until(lambda: "87%" in window.text(".fetching tbody"))
        assert window.complaints() == []
        window.look(1280)
        window.open("about:blank")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "without"])
def test_hostile_names_are_shown_as_text(window: Browser, scripts: bool) -> None:
    """Those that the server puts into the page, and those that a script does."""
    stage = Stage(files=[file("a.gguf", 1, HOSTILE)])
    with shown(stage) as port:
        window.look(1280, scripts=scripts)
        window.open(address(port))
        if scripts:
            stage.running.append(Pulled("b.gguf", 9, 1, [HOSTILE], HOSTILE))
            wait_until(lambda: HOSTILE in window.text(".fetching tbody"))
        assert HOSTILE in window.text(".files tbody")
        assert window.run("return document.title") == "luci serve"
        assert window.run("return document.querySelectorAll('img, td script').length") == 0
        assert window.complaints() == []
        window.look(1280)
        window.open("about:blank")


def test_a_page_that_is_not_looked_at_leaves_its_place_to_others(window: Browser) -> None:
    """It is live again when it is shown."""
    with shown(Stage()) as port:
        window.look(1280)
        window.open(address(port))
        wait_until(lambda: window.text("#line") == "Live")
        hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        window.run(hide + "document.dispatchEvent(new Event('visibilitychange')); return 0", True)
        assert window.run("return source.readyState") == 2
        window.run(hide + "document.dispatchEvent(new Event('visibilitychange')); return 0", False)
        wait_until(lambda: window.run("return source.readyState") == 1)
        window.open("about:blank")
    window.complaints()


def test_screen_readers_find_tables_and_their_names(window: Browser) -> None:
    """On a phone, too, where the rows are laid out as blocks."""
    with shown(busy()) as port:
        window.look(390)
        window.open(address(port))
        nodes = window.command("Accessibility.getFullAXTree")["nodes"]
        found = [(node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes]
        assert ("table", "On this server") in found
        assert ("table", "Being downloaded") in found
        assert ("progressbar", "coming.gguf") in found
        assert ("heading", "The last ten minutes") in found
        assert {"row", "cell", "columnheader", "status"} <= {role for role, _ in found}
        window.open("about:blank")
