"""What check.py's public checks say of the bank; `python -m tests.reference.public_bank` counts over all of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.audit.solutions import Solution, write
from autograder.hw11 import ASSIGNMENT
from tests import solutions as bank

REFERENCE = ASSIGNMENT.reference
SECONDS = 60.0


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


def question_of(variant: Solution) -> Any:
    """The question whose checks look at the variant's file."""
    return next(question for question in QUESTIONS if variant.file in question.files)


def outcomes(variant: Solution) -> dict[str, tuple[str, list[str]]]:
    """State and lines of each public check of the variant's question, by its title, made in a fork of this process.

    What has not ended within SECONDS is told as the state "late".
    """
    question = question_of(variant)
    with tempfile.TemporaryDirectory(prefix="public-") as folder:
        upload, out = Path(folder, "upload"), Path(folder, "outcomes")
        write(variant, REFERENCE, upload)
        out.touch()
        pid = os.fork()
        if pid == 0:  # as check.py starts it, without the import of torch
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            try:
                CHILD.main(question.id, str(upload / question.code), str(out), "0")
            finally:
                os._exit(1)
        ends = time.monotonic() + SECONDS
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > ends:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(0.01)
        records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    faults = [one["fault"] for one in records if "fault" in one]
    assert not faults, faults[0]
    told = {one["at"]: (one["state"], one["lines"]) for one in records if "at" in one}
    return {check.title: told.get(at, ("late", [])) for at, check in enumerate(question.checks)}


def passes(found: dict[str, tuple[str, list[str]]]) -> bool:
    """Whether every public check is content."""
    return all(state == "ok" for state, _ in found.values())


def main(prefixes: Sequence[str]) -> int:
    """Counts, for each question, how many wrong and right solutions some public check fails."""
    import torch  # noqa: F401  # once, and not in each fork

    for kind, variants in (("wrong", bank.WRONG), ("right", bank.RIGHT)):
        caught, every, missed = Counter[str](), Counter[str](), []
        for variant in variants:
            if prefixes and not variant.id.startswith(tuple(prefixes)):
                continue
            question = question_of(variant).id
            every[question] += 1
            found = outcomes(variant)
            if passes(found):
                missed.append(variant.id)
            else:
                caught[question] += 1
                if kind == "right":
                    print(f"right, and yet: {variant.id}: {[one for one in found.items() if one[1][0] != 'ok'][:2]}")
        print(f"{kind}: " + ", ".join(f"{name} {caught[name]} of {every[name]}" for name in every), flush=True)
        print(f"{kind}, some public check fails: {sum(caught.values())} of {sum(every.values())}")
        if kind == "wrong":
            print("missed:", *missed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
