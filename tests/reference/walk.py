"""A new student's way from the zip to the grader's result, with times; `python -m tests.reference.walk --write`.

Without `--write` the table is only printed; with it, it goes between the marker lines of docs/students.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from autograder import version
from autograder.audit import documents
from autograder.authoring import bundle
from autograder.hw11 import ASSIGNMENT
from autograder.text import many
from tests.reference import solving

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "students.md"
COMMAND = "walk --write"
WRITTEN = (("6", "policy_gradient_loss"), ("vae", "sample_gaussian"), ("vae", "negative_elbo_bound"))
"""What this student writes, in this order, and the word that has it checked."""
Row = tuple[str, str, str, str]


def timed(command: Sequence[str], where: Path) -> tuple[str, float, float]:
    """What a command prints, and its seconds: by the clock, and of CPU with those of its processes."""
    before, begun = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=where, capture_output=True, encoding="utf-8", check=False)
    took, after = time.monotonic() - begun, os.times()
    assert done.returncode == 0, done.stdout + done.stderr
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, took, spent


def walk(folder: Path) -> list[Row]:
    """Each step: what is done, by which command, what it says, and how long it took."""
    rows = []

    def step(what: str, shown: str, command: Sequence[str], where: Path, said: str) -> None:
        output, took, spent = timed(command, where)
        found = re.search(said, output, re.MULTILINE)
        assert found, output
        rows.append((what, f"`{shown}`", f'"{found[0].strip()}"', f"{took:.0f} s, CPU {spent:.0f} s"))

    zips, homework = folder / "dist", folder / "hw11"
    engine = [sys.executable, str(ROOT / "autograder" / "__main__.py")]
    making = [*engine, "bundle", "--out", str(zips)]
    step(
        "the staff make the zips",
        "python3 -m autograder bundle",
        making,
        ROOT,
        rf"{bundle.GRADESCOPE} .*{bundle.STUDENTS} for \w+ \w+",
    )
    with zipfile.ZipFile(zips / bundle.STUDENTS) as archive:
        archive.extractall(homework)
    check = [sys.executable, "check.py"]
    counts = r"^\d+ well, \d+ wrong, \d+ missing(?=;)"
    for word, name in WRITTEN:
        file = solving.solve(homework, name)
        what = f"write {name} in {file}, and check the question"
        step(what, f"python check.py {word}", [*check, word], homework, counts)
    step("check all, and pack", "python check.py", check, homework, counts)
    grading = ["bash", str(ROOT / "run_autograder"), "submission.zip", "--out", str(folder / "results.json")]
    step("the grader's result", "./run_autograder submission.zip", grading, homework, r"^[\d.]+ of 100\b[^,]*")
    return rows


def main(words: Sequence[str]) -> int:
    """Walks, and prints or writes the table."""
    if words not in ([], ["--write"]):
        print(__doc__)
        return 2
    if words:
        documents.read(DOCUMENT, COMMAND)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        told = documents.table(("step", "command", "it says", "took"), walk(Path(folder)))
    print(told)
    if words:
        machine = f"{many(os.cpu_count() or 1, 'core')} with a load of {load:.1f} before"
        said = f"Grader `{version.of(ASSIGNMENT)}`, {documents.now()}, on {machine}."
        documents.write(DOCUMENT, COMMAND, f"{said}\n\n{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
