"""A real browser for tests of pages, driven by Chromium's own protocol (DevTools).

Public names: ``Browser``, ``BROWSER``, ``NO_BROWSER``.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, Self

from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BROWSER: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_BROWSER: Final = "NO BROWSER: Debian: apt-get install chromium"

_PATIENCE_S: Final = 90.0
_NOTE: Final = "DevToolsActivePort"
"""Where Chromium writes the port that it listens on."""

_FLAGS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")

# Visible elements whose own text, name or label it is; the last one is what was opened last (a menu, a dialogue).
_FIND: Final = """
const seen = one => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
const word = one => (one.getAttribute("aria-label") || one.innerText || one.value || "").trim();
const all = (selector, text) => [...document.querySelectorAll(selector)].filter(seen)
    .filter(one => text === null || word(one) === text);
"""


class Browser:
    """One page of a browser of its own; a context manager."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 900) -> None:
        """Take an empty folder for its profile, and the size of its window in pixels."""
        self._folder = folder
        self._size = (width, height)
        self._number = 0

    def __enter__(self) -> Self:
        """Start it."""
        self._folder.mkdir(exist_ok=True)
        (self._folder / _NOTE).unlink(missing_ok=True)
        width, height = self._size
        command = [str(BROWSER), *_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={self._folder}"]
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log, start_new_session=True)
        try:
            self._page = self._connected()
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self._ask("Emulation.setDeviceMetricsOverride", **size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _connected(self) -> ClientConnection:
        """Return the line to its page, once it has written where it listens."""
        note = self._folder / _NOTE
        end = time.monotonic() + _PATIENCE_S
        while not (note.exists() and "\n" in note.read_text()):
            assert time.monotonic() < end, "the browser did not start"
            time.sleep(0.1)
        port, path = note.read_text().split()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as whole:
            whole.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(whole.recv(_PATIENCE_S))["result"]["targetInfos"]
        (target,) = (one["targetId"] for one in targets if one["type"] == "page")
        return connect(f"ws://127.0.0.1:{port}/devtools/page/{target}", max_size=None)

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._page.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._page.recv(_PATIENCE_S))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """Return what a script gives that ends with ``return``; it has ``all(selector, text)`` for what can be seen."""
        body = f"(() => {{ {_FIND} {script} }})()"
        answer = self._ask("Runtime.evaluate", expression=body, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, what: Callable[[], Any], said: str) -> Any:
        """Return what a function gives as soon as it is true.

        Raises:
            AssertionError: It never was; with the text of the page.

        """
        end = time.monotonic() + _PATIENCE_S
        while not (found := what()):
            assert time.monotonic() < end, f"{said}; the page says: {self.text()[-3000:]}"
            time.sleep(0.2)
        return found

    def go(self, url: str) -> None:
        """Open a page."""
        self._ask("Page.navigate", url=url)

    def text(self) -> str:
        """Return the text that can be seen."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def see(self, *words: str) -> None:
        """Wait until the page says all of it."""
        self.wait(lambda: all(word in self.text() for word in words), f"does not say {words}")

    def click(self, text: str, selector: str = "*") -> None:
        """Press what has a text, as a mouse does; of several the one that comes last, such as that of a dialogue."""
        find = f"const found = all({json.dumps(selector)}, {json.dumps(text)}).pop(); if (!found) return null;"
        place = "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
        at = f"{find} {place} return [box.x + box.width / 2, box.y + box.height / 2];"
        x, y = self.wait(lambda: self.run(at), f"has nothing to press that says {text!r}")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, label: str, text: str) -> None:
        """Write into the field that has a label."""
        script = self._field(label, "input, textarea") + "field.focus(); field.select(); return true;"
        self.wait(lambda: self.run(script), f"has no field {label!r}")
        self._ask("Input.insertText", text=text)

    def switch(self, label: str) -> None:
        """Turn the switch that has a label."""
        script = self._field(label, "[role=switch]") + "field.click(); return true;"
        self.wait(lambda: self.run(script), f"has no switch {label!r}")

    @staticmethod
    def _field(label: str, selector: str) -> str:
        """Return a script that finds the next ``field`` around a label, and ends where there is none."""
        return f"""
            let field = null;
            let around = all("label", null).filter(one => one.innerText.trim().startsWith({json.dumps(label)})).pop();
            while (around && !(field = around.querySelector({json.dumps(selector)}))) around = around.parentElement;
            if (!field) return false;"""

    def picture(self, path: Path) -> None:
        """Write what can be seen as a PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))
