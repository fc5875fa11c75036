"""Headless Chromium for tests of pages; where none is installed, those are skipped."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """Headless Chromium, spoken to by the DevTools protocol over a pipe: JSON objects that end with a null byte."""

    def __init__(self, folder: Path) -> None:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        script = f'exec "$0" "$@" 3<&{high[0]} 4>&{high[1]}'
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--window-size=1200,900")
        assert CHROMIUM is not None
        command = ["bash", "-c", script, CHROMIUM, *flags, f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(
            command, pass_fds=high, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        self.write, self.read = ours_out, ours_in
        self.pending, self.count, self.session = b"", 0, ""
        self.events: list[dict] = []
        page = next(each for each in self.ask("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def message(self) -> dict:
        while b"\0" not in self.pending:
            assert select.select([self.read], [], [], 30)[0], "the browser says nothing"
            more = os.read(self.read, 1 << 20)
            assert more, "the browser is gone"
            self.pending += more
        first, _, self.pending = self.pending.partition(b"\0")
        return json.loads(first)

    def ask(self, method: str, **given: object) -> dict:
        self.count += 1
        own = self.count
        order = {"id": own, "method": method, "params": given} | ({"sessionId": self.session} if self.session else {})
        os.write(self.write, json.dumps(order).encode() + b"\0")
        while (told := self.message()).get("id") != own:
            self.events.append(told)
        assert "error" not in told, told
        return told["result"]

    def wait(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def open(self, place: Path | str) -> None:
        self.events.clear()
        self.ask("Page.navigate", url=place if isinstance(place, str) else place.as_uri())
        self.wait("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, expression: str, seconds: float = 20.0) -> None:
        """Waits until the expression is true."""
        ends = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < ends, f"it did not become true: {expression}"
            time.sleep(0.02)

    def press(self, key: str, text: str | None = None) -> None:
        """One key, as a keyboard sends it."""
        text = key if text is None and len(key) == 1 else text
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def axe(self) -> list[str]:
        """What axe-core finds serious, as "rule: element"; the test is skipped where it is not installed."""
        script = Path(sys.prefix, "node_modules", "axe-core", "axe.min.js")
        if not script.is_file():
            pytest.skip("axe-core is not installed: setup.sh --dev fetches it where npm is")
        self.ask("Runtime.evaluate", expression=script.read_text("utf-8"))
        run = "axe.run(document, {resultTypes: ['violations']}).then((found) => JSON.stringify(found.violations))"
        told = self.ask("Runtime.evaluate", expression=run, awaitPromise=True, returnByValue=True)["result"]["value"]
        return [
            f"{rule['id']}: {node['html'][:150]}"
            for rule in json.loads(told)
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def requests(self) -> list[str]:
        kind = "Network.requestWillBeSent"
        return [event["params"]["request"]["url"] for event in self.events if event.get("method") == kind]

    def complaints(self) -> list[dict]:
        """What the console shows, breaches of the policy included."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in kinds]

    def close(self) -> None:
        try:
            self.ask("Browser.close")
            self.process.wait(10)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            os.close(self.write)
            os.close(self.read)


@contextmanager
def opened(folder: Path) -> Iterator[Browser]:
    """A browser with its profile in `folder`; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed here")
    browser = Browser(folder)
    try:
        yield browser
    finally:
        browser.close()
