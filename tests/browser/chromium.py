"""A headless Chromium that shows a page and says what is wrong with it, over its own pipe."""

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT_S = 300  # of a browser's life
_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"),
)
# Pairs of shown elements without elements in them whose boxes share more than a pixel each way,
# though neither holds the other.
OVERLAPS = """
(() => {
  const leaves = [...document.body.querySelectorAll("*")].filter(e => !e.children.length
    && !e.closest("[hidden], script, style, header, option, select") && e.getClientRects().length);
  const boxes = leaves.map(e => e.getBoundingClientRect()).map((b, i) => ({ b, e: leaves[i] }))
    .sort((one, other) => one.b.top - other.b.top);
  const found = [];
  boxes.forEach(({ b, e }, i) => {
    for (let j = i + 1; j < boxes.length && boxes[j].b.top < b.bottom - 1; j++) {
      const o = boxes[j].b;
      if (Math.min(b.right, o.right) - Math.max(b.left, o.left) > 1
        && Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top) > 1)
        found.push(e.outerHTML.slice(0, 80) + " / " + boxes[j].e.outerHTML.slice(0, 80));
    }
  });
  return found.slice(0, 5);
})()
"""


class Tab:
    """A page of the browser."""

    def __init__(self, to_browser: Any, from_browser: Any):
        self._to, self._from = to_browser, from_browser
        self._number, self._session = 0, ""
        self.complaints: list[str] = []
        self._events: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def show(self, file: Path, width_px: int, height_px: int, scheme: str) -> float:
        """Open a file at a size in CSS pixels, "light" or "dark"; seconds until it is loaded."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=media)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=height_px,
            deviceScaleFactor=1,
            mobile=width_px < 600,
        )
        self.complaints.clear()
        self._events.clear()
        start = time.monotonic()
        self._call("Page.navigate", url=file.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive()
        return time.monotonic() - start

    def value_of(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key that writes itself."""
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self) -> bytes:
        """PNG bytes of what is in view."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def _call(self, method: str, **parameters: Any) -> dict:
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        words = {"id": self._number, "method": method, "params": parameters, **session}
        self._to.write(json.dumps(words).encode() + b"\0")
        self._to.flush()
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self) -> dict:
        """The next message; what a page complains of is noted."""
        message = json.loads(_until_nul(self._from))
        self._events.append(message.get("method", ""))
        kind, said = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))
        elif kind == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])
        elif kind == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.complaints.append(str(said["args"]))
        elif kind == "Network.requestWillBeSent" and said["request"]["url"].startswith("http"):
            self.complaints.append(f"asks for {said['request']['url'][:80]}")
        return message


def _until_nul(pipe: Any) -> bytes:
    """The bytes up to the next NUL, which ends a message."""
    data = bytearray()
    while (byte := pipe.read(1)) != b"\0":
        assert byte, "the browser has gone"
        data += byte
    return bytes(data)


@contextmanager
def open_tab(profile: Path) -> Iterator[Tab]:
    """A browser with one page; its files lie in `profile`."""
    for_browser, to_browser = os.pipe()
    from_browser, of_browser = os.pipe()

    def as_3_and_4() -> None:
        """The browser reads from 3 and writes to 4."""
        reading, writing = os.dup(for_browser), os.dup(of_browser)
        os.dup2(reading, 3)
        os.dup2(writing, 4)

    process = subprocess.Popen(
        [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}"],
        preexec_fn=as_3_and_4,
        close_fds=False,
        stderr=subprocess.DEVNULL,
    )
    os.close(for_browser)
    os.close(of_browser)
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        with os.fdopen(to_browser, "wb") as to, os.fdopen(from_browser, "rb") as answers:
            yield Tab(to, answers)
    finally:
        limit.cancel()
        process.kill()
        process.wait()
