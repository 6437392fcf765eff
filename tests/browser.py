"""A real browser without a window: Chromium, by the WebDriver protocol of its driver."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars")


class Browser:
    """One window."""

    def __init__(self, driver: str, chromium: str, arguments: Sequence[str]) -> None:
        self._pool = urllib3.PoolManager(timeout=30, retries=False)
        self._session = driver
        options = {"binary": chromium, "args": [*ARGUMENTS, *arguments]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"{driver}/session/{session['sessionId']}"

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        answer = self._pool.request(method, self._session + path, json=body if method == "POST" else None)
        value = answer.json()["value"]
        if answer.status != 200:
            raise RuntimeError(f"{path}: {value['message']}")
        return value

    def command(self, name: str, **parameters: object) -> Any:
        """A command of the DevTools protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def look(
        self, width: int, height: int = 900, *, dark: bool = False, scripts: bool = True, scale: float = 1
    ) -> None:
        """Set the size and the scheme of the window, and whether scripts run."""
        mobile = width < 600
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, address: str) -> None:
        """Load a page."""
        self._ask("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns in the page; scripts of the page itself may be off."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def text(self, selector: str) -> str:
        """The text that the first such element shows."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def complaints(self) -> Sequence[str]:
        """What stands in the console since the last call."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def picture(self, path: Path, height: int) -> None:
        """A picture of the page from its top."""
        clip = {"x": 0, "y": 0, "width": self.run("return innerWidth"), "height": height, "scale": 1}
        shot = self.command("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End it."""
        self._ask("DELETE", "")


@contextmanager
def browser(driver: str, chromium: str, *arguments: str) -> Iterator[Browser]:
    """A browser, by the paths of both programs; the arguments are for Chromium."""
    command = [driver, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            said = iter(process.stdout.readline, "")
            port = next(found[1] for line in said if (found := re.search(r"started .* on port (\d+)", line)))
            window = Browser(f"http://127.0.0.1:{port}", chromium, arguments)
            try:
                yield window
            finally:
                window.close()
        finally:
            process.terminate()
