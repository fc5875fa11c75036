"""Writes into docs/figures.md how much of autograder/ the tests reach: what `./run_tests --coverage` ends with."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import coverage

from autograder import version
from autograder.audit import documents
from autograder.hw11 import ASSIGNMENT

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "figures.md"
COMMAND = "run_tests --coverage"


def rooms(report: coverage.Coverage) -> dict[str, float]:
    """The share of lines and branches that were reached, in percent, of each folder below autograder/ and of all."""
    root = DOCUMENT.parents[1] / "autograder"
    names = sorted({path.relative_to(root).parts[0] for path in root.rglob("*.py") if path.parent != root})
    shares = {"all": report.report(file=io.StringIO(), ignore_errors=True)}
    for name in names:
        try:
            shares[name] = report.report(file=io.StringIO(), include=[f"{root / name}/*"], ignore_errors=True)
        except coverage.exceptions.NoDataError:
            shares[name] = 0.0
    return shares


def main(arguments: list[str]) -> None:
    report = coverage.Coverage()
    report.load()
    shares = rooms(report)
    asked = f"Of `{' '.join(arguments)}` alone. " if arguments else ""
    told = (
        f"{asked}Lines and branches, without what runs inside workers (`sandbox/guest`, `sandbox/confine`, the probes) "
        f"and without commands that tests start as processes. {documents.now()}, "
        f"grader `{version.of(ASSIGNMENT)}`.\n\n"
        + documents.table(("room", "reached"), [(name, f"{share:.0f} %") for name, share in shares.items()])
    )
    print(told)
    if not arguments:  # figures of a slice are no figures of the project
        documents.write(DOCUMENT, COMMAND, told)


if __name__ == "__main__":
    main(sys.argv[1:])
