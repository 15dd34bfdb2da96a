"""Open a page in headless Chromium and say what is wrong with it.

By hand: python tests/browser.py page.html [folder for screenshots]

Chromium is spoken to by its DevTools protocol over two pipes, so that nothing is needed but the
browser itself.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

WIDTHS = (1280, 400)  # pixels
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
LOOK = """(() => {
  const beyond = e => e.getBoundingClientRect().right > innerWidth + 1;
  const clipped = [...document.body.querySelectorAll('*')]
    .filter(e => beyond(e) && e.closest('.scroll') === null);
  const images = [...document.images];
  return JSON.stringify({
    width: innerWidth,
    scrolled: document.documentElement.scrollWidth,
    images: images.length,
    missing: images.filter(i => !i.complete || i.naturalWidth === 0).map(i => i.alt),
    clipped: clipped.map(e => e.outerHTML.slice(0, 80)),
  });
})()"""


class Tab:
    """One tab of a browser: commands are answered, events are kept."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO):
        self.commands, self.answers, self.number = commands, answers, 0
        self.session: str | None = None
        self.events: list[dict] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def read(self) -> dict:
        """The next answer or event; each ends with a zero byte."""
        parts = bytearray()
        while (byte := self.answers.read(1)) not in (b"", b"\0"):
            parts += byte
        if not parts:
            raise RuntimeError("Chromium has ended")
        return json.loads(parts)

    def send(self, method: str, **params: object) -> dict:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, address: str, width: int, dark: bool) -> dict:
        """Load a page at a width and return what is to be seen of it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.send("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())
        found = self.send("Runtime.evaluate", expression=LOOK)
        return json.loads(found["result"]["value"])

    def screenshot(self) -> bytes:
        return b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextlib.contextmanager
def tab() -> Iterator[Tab]:
    """A tab of a browser of its own, with a profile of its own."""
    from_us, to_chromium = os.pipe()
    from_chromium, to_us = os.pipe()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        open(to_chromium, "wb") as commands,
        open(from_chromium, "rb") as answers,
    ):
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        words = f'exec "$@" 3<&{from_us} 4>&{to_us}'
        process = subprocess.Popen(
            ["bash", "-c", words, "bash", CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        try:
            yield Tab(commands, answers)
        finally:
            process.terminate()
            process.wait()


def spoken(event: dict) -> str | None:
    """What an event says that a console would show, or whom of the network the page asks."""
    method, params = event.get("method"), event.get("params", {})
    if method == "Runtime.exceptionThrown":
        return params["exceptionDetails"]["text"]
    if method == "Runtime.consoleAPICalled":
        return f"console.{params['type']}: {params['args']}"
    if method == "Log.entryAdded":
        return f"{params['entry']['level']}: {params['entry']['text']}"
    if method == "Network.requestWillBeSent":
        address = params["request"]["url"]
        return None if address.startswith(("file:", "data:")) else f"asks for {address}"
    return None


def problems(page: Path, screenshots: Path | None = None) -> list[str]:
    """What is wrong with a page at the widths of a desk and of a telephone, by day and by night."""
    found = []
    with tab() as opened:
        for width in WIDTHS:
            for dark in (False, True):
                name = f"{width}-{'dark' if dark else 'light'}"
                seen = opened.open(page.resolve().as_uri(), width, dark)
                here = [text for text in map(spoken, opened.events) if text]
                here += [f"an image is missing: {alt}" for alt in seen["missing"]]
                here += [f"reaches beyond the page: {tag}" for tag in seen["clipped"]]
                if seen["scrolled"] > width or seen["width"] != width:
                    here.append(f"is {seen['scrolled']} pixels wide")
                if not seen["images"]:
                    here.append("shows no image")
                found += [f"{name}: {text}" for text in here]
                if screenshots:
                    (screenshots / f"{name}.png").write_bytes(opened.screenshot())
    return found


if __name__ == "__main__":
    if not CHROMIUM:
        sys.exit("error: expected Chromium, found none")
    wrong = problems(Path(sys.argv[1]), *map(Path, sys.argv[2:3]))
    print("\n".join(wrong) or f"{sys.argv[1]}: nothing is wrong at {WIDTHS} pixels")
    sys.exit(bool(wrong))
