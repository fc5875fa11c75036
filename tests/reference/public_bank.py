"""What check.py's public checks say of the bank; `python -m tests.reference.public_bank` counts over all of it.

* `python -m tests.reference.public_bank [PREFIX ...]`: the solutions whose ids begin so; all without a prefix
* `--only right` (or `wrong`) runs these alone
* `--kept FILE` goes on where an earlier run with this file ended; `--stop` runs nothing more and counts what it has
* `--write` puts the counts into docs/students.md, between the marker lines
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import documents
from autograder.audit.solutions import Solution, write
from autograder.hw11 import ASSIGNMENT
from tests import solutions as bank

REFERENCE = ASSIGNMENT.reference
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "students.md"
COMMAND = "public_bank --write"
SECONDS = 60.0
CROSSES = ("wrong", "unfilled", "late")
Outcomes = dict[str, tuple[str, list[str]]]


def _checker() -> tuple[Any, Any]:
    """The reference's child and packing modules, as check.py imports them."""
    sys.path.insert(0, str(REFERENCE))
    try:
        from public_checks import child, packing  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(REFERENCE))
    return child, packing


CHILD, PACKING = _checker()
QUESTIONS = CHILD.QUESTIONS


def imported() -> types.ModuleType:
    """Torch, with what its optimisers and the notebooks import: once, and not in each fork."""
    import matplotlib.pyplot  # noqa: F401
    import torch

    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return torch


def question_of(variant: Solution) -> Any:
    """The question whose checks look at the variant's file."""
    return next(question for question in QUESTIONS if variant.file in question.files)


def outcomes(variant: Solution, *, until_a_cross: bool = False, only: str = "") -> Outcomes:
    """As `checked`, of the reference with the variant's definitions in it."""
    with tempfile.TemporaryDirectory(prefix="public-") as folder:
        upload = Path(folder, "upload")
        write(variant, REFERENCE, upload)
        return checked(question_of(variant), upload, until_a_cross=until_a_cross, only=only)


def checked(question: Any, homework: Path, *, until_a_cross: bool = False, only: str = "") -> Outcomes:
    """State and lines of each public check of the question, by its title, made in a fork of this process.

    What has not ended within SECONDS is reported as the state "late"; what comes behind the first cross, where that is
    enough, as "not made". With `only` the first check whose title begins so is made, and no other.
    """
    titles = [check.title for check in question.checks]
    first = next(at for at, title in enumerate(titles) if title.startswith(only))
    with tempfile.NamedTemporaryFile("rb", prefix="public-") as out:
        pid = os.fork()
        if pid == 0:  # as check.py starts it, without the import of torch
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            try:
                CHILD.main(question.id, str(homework / question.code), out.name, str(first))
            finally:
                os._exit(1)
        ends, records, rest = time.monotonic() + SECONDS, list[dict[str, Any]](), "late"
        ended = False
        while not ended:
            ended = os.waitpid(pid, os.WNOHANG)[0] != 0
            for line in out:
                records.append(json.loads(line))
            states = [one["state"] for one in records if "state" in one]
            enough = bool(states) and (bool(only) or (until_a_cross and any(one in CROSSES for one in states)))
            if not ended and (enough or time.monotonic() > ends):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                rest, ended = "not made" if enough else "late", True
            time.sleep(0.01)
    faults = [one["fault"] for one in records if "fault" in one]
    assert not faults, faults[0]
    told = {one["at"]: (one["state"], one["lines"]) for one in records if "at" in one}
    found = {title: told.get(at, (rest, [])) for at, title in enumerate(titles)}
    return {titles[first]: found[titles[first]]} if only else found


def passes(found: Outcomes) -> bool:
    """Whether every public check is content."""
    return all(state == "ok" for state, _ in found.values())


# ---------------------------------------------------------------------------------------- over all of it


@dataclass(frozen=True)
class Counted:
    """What is kept of a solution: its question, whether it is "right" or "wrong", and the states of its checks."""

    key: str
    id: str
    question: str
    kind: str
    states: dict[str, str]

    @property
    def crossed(self) -> bool:
        """Whether some public check fails it."""
        return any(state in CROSSES for state in self.states.values())

    @property
    def unchecked(self) -> bool:
        """Whether no check fails it, and some could not be made, for a package or a GPU that is missing."""
        return not self.crossed and any(state != "ok" for state in self.states.values())


def _key(variant: Solution) -> str:
    """A digest of the solution, and of what checks it."""
    folder, question = REFERENCE / "public_checks", question_of(variant)
    path = REFERENCE / question.code
    checks = path if path.suffix == ".py" else folder / f"{path.stem}.py"
    texts = [path.read_bytes() for path in (checks, folder / "child.py", folder / "cells.py")]
    return hashlib.sha256(b"\0".join([variant.code.encode(), *texts])).hexdigest()[:16]


def counted(variants: Iterable[tuple[str, Solution]], kept: Path | None, *, stop: bool = False) -> Iterator[Counted]:
    """Each of the variants, with its kind; those that the file `kept` has of the same text are not run again.

    With `stop` the others are left out.
    """
    known = {}
    if kept is not None and kept.exists():
        for line in kept.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError):  # cut off by a kill
                one = Counted(**json.loads(line))
                known[one.key] = one
    for kind, variant in variants:
        key = _key(variant)
        if key not in known and stop:
            continue
        if key not in known:
            found = outcomes(variant, until_a_cross=kind == "wrong")
            states = {title: state for title, (state, _) in found.items()}
            known[key] = Counted(key, variant.id, question_of(variant).id, kind, states)
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(known[key])) + "\n")
        yield known[key]


def table(found: Sequence[Counted]) -> str:
    """The counts by question, as a table of Markdown."""
    rows = []
    for name in [*(question.id for question in QUESTIONS if question.checks), "all"]:
        own = [one for one in found if name in (one.question, "all")]
        right, wrong = ([one for one in own if one.kind == kind] for kind in ("right", "wrong"))
        if own:
            crossed, unchecked = sum(one.crossed for one in right), sum(one.unchecked for one in right)
            caught = f"{sum(one.crossed for one in wrong)} of {len(wrong)}"
            rows.append((name, f"{crossed} of {len(right)}", str(unchecked), caught))
    head = ("question", "right ones with a cross", "right ones that could not be checked", "wrong ones with a cross")
    return documents.table(head, rows)


def main(words: Sequence[str]) -> int:
    """Counts, for each question, how many wrong and right solutions some public check fails. 1 if a right one has."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference.public_bank", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("prefix", nargs="*")
    parser.add_argument("--only", choices=("right", "wrong"))
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args(words)
    if chosen.write:
        documents.read(DOCUMENT, COMMAND)
    imported()
    prefixes = tuple(chosen.prefix) or ("",)
    variants = [("right", one) for one in bank.RIGHT] + [("wrong", one) for one in bank.WRONG]
    variants = [pair for pair in variants if pair[1].id.startswith(prefixes) and chosen.only in (None, pair[0])]
    found = []
    for one in counted(variants, chosen.kept, stop=chosen.stop):
        found.append(one)
        if one.kind == "right" and not all(state == "ok" for state in one.states.values()):
            print(f"right, and yet: {one.id}: {one.states}", flush=True)
    print("wrong, without a cross:", *(one.id for one in found if one.kind == "wrong" and not one.crossed))
    told = table(found)
    print(told)
    if chosen.write:
        which = f"{len(found)} of the bank's {len(bank.RIGHT) + len(bank.WRONG)} right and wrong solutions"
        documents.write(DOCUMENT, COMMAND, f"Grader `{version.of(ASSIGNMENT)}`, {documents.now()}, {which}.\n\n{told}")
    return int(any(one.crossed for one in found if one.kind == "right"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
