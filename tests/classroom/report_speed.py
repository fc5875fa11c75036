"""Times the report of a large class in headless Chromium: `python3 -m tests.classroom.report_speed [SUBMISSIONS]`.

It is no test: it needs a minute. Figures are CPU time of the page's own thread, which a busy machine does not lengthen
much: what the browser needs between a key or a click and the next picture. A pause of 100 ms is one that people notice.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from autograder.classroom import gradebook
from autograder.classroom.gradebook import Gradebook
from autograder.hw11 import ASSIGNMENT
from tests.classroom import test_report
from tests.classroom.browser import CHROMIUM, Browser

NOTICED = 100.0
"""Milliseconds (Nielsen 1993: up to a tenth of a second feels like at once)."""
SETUP = """
const form = document.querySelector("form.finder"), heads = [...document.querySelectorAll("table.found th button")];
const type = (text) => {
  form.elements.text.value = text;
  form.elements.text.dispatchEvent(new Event("input", {bubbles: true}));
};
const pick = (name, at) => {
  const field = form.elements[name];
  field.selectedIndex = at;
  field.dispatchEvent(new Event("input", {bubbles: true}));
};
const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
"""
STEPS = {
    "search: s": 'type("s")',
    "search: student 5": 'type("student 5")',
    "search: student 51": 'type("student 51")',
    "search: nothing": 'type("")',
    "filter: lost points at a check": 'pick("lost", 3)',
    "filter: any check": 'pick("lost", 0)',
    "filter: told a diagnosis": 'pick("told", 1)',
    "filter: anything": 'pick("told", 0)',
    "filter: status": 'pick("status", 1)',
    "show all": "form.reset()",
    "sort by submission": "heads[0].click()",
    "sort by name": "heads[1].click()",
    "sort by name, the other way": "heads[1].click()",
    "sort by score": "heads[2].click()",
    "sort by a question": "heads[3].click()",
}


def main(count: int) -> int:
    """Prints the figures. Returns 0, 1 where a pause would be noticed, 2 without a browser."""
    if CHROMIUM is None:
        print("There is no Chromium here.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        spent = _write(out, count)
        page = out / "report.html"
        print(f"{count:,} submissions: report.html {page.stat().st_size / 1e6:.1f} MB, written in {spent:.1f} CPU s")
        browser = Browser(Path(folder, "browser"))
        try:
            slow = _timed(browser, page)
        finally:
            browser.process.kill()
            browser.process.wait()
    return 1 if slow else 0


def _write(out: Path, count: int) -> float:
    """Writes the pages of a class of invented results; returns the CPU seconds."""
    out.mkdir()
    with Gradebook(out / "gradebook.sqlite").open() as book:
        run = {"grader": "0123456789ab", "jobs": "", "question": "", "now": "2026-11-23T07:00:00+00:00"}
        gradebook.begin(book, ASSIGNMENT, **run)
        for number in range(count):
            test_report.hand_in(book, number, test_report.document(number), f"Student {number}")
        started = time.process_time()
        test_report.written(book, out)
    return time.process_time() - started


def _timed(browser: Browser, page: Path) -> bool:
    """Prints a line for each step; returns whether one of them is noticed."""
    browser.ask("Performance.enable", timeDomain="threadTicks")
    before = _busy(browser)
    browser.open(page)
    print(f"{_busy(browser) - before:8.0f} ms  open")
    browser.value(SETUP)
    slow = False
    for name, step in STEPS.items():
        before = _busy(browser)
        browser.ask("Runtime.evaluate", expression=f"(async () => {{ {step}; await drawn(); }})()", awaitPromise=True)
        spent = _busy(browser) - before
        slow = slow or spent > NOTICED
        print(f"{spent:8.0f} ms  {name}{'  <- noticed' if spent > NOTICED else ''}")
    return slow


def _busy(browser: Browser) -> float:
    """Milliseconds of CPU that the page's thread has used."""
    found: list[dict[str, Any]] = browser.ask("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in found if one["name"] == "TaskDuration") * 1000


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 1000))
