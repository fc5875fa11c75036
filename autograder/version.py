"""Which grader this is: a digest of all that can change a grade, so that nothing is graded twice for nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from autograder.authoring import bundle
from autograder.core import Assignment

ROOT = Path(__file__).resolve().parents[1]


def of(assignment: Assignment, settings: str = "") -> str:
    """Twelve hexadecimal digits for the engine, the homework's checks, its reference and its template.

    And for the course's settings and the part that is graded, as `chosen.digest` gives them; "" where there are none.
    """
    digest = hashlib.sha256()
    folders = {
        ROOT / "autograder": bundle.STAFFS,
        **dict.fromkeys(_homework(assignment), (*bundle.STAFFS, *bundle.LEFT_BY_RUNS)),
        assignment.reference: bundle.LEFT_BY_RUNS,
        assignment.template: (*bundle.LEFT_BY_RUNS, bundle.LOG),
    }
    for folder, left_out in folders.items():
        for path in sorted(bundle.below(folder, left_out)):
            content = path.read_bytes()
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    digest.update(settings.encode())
    return digest.hexdigest()[:12]


def _homework(assignment: Assignment) -> list[Path]:
    """The folders of the homework's checks and probes, where they lie outside of the engine's."""
    found = importlib.util.find_spec(assignment.probes)
    folders = [Path(folder).resolve() for folder in (found and found.submodule_search_locations) or ()]
    return [folder for folder in folders if not folder.is_relative_to(ROOT / "autograder")]
