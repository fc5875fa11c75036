"""Which homework is graded here: the whole one, or what a course.toml, a bundle's part and `--only` make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder import homeworks
from autograder.core import Assignment
from autograder.intake import parts
from autograder.intake.places import COURSE, LEADERBOARD, ONLY

if TYPE_CHECKING:  # at run time only where a course.toml is: pydantic takes a moment
    from autograder.intake.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 480.0
"""For a submission, where nobody says anything else: Gradescope's own limit is 10 minutes."""


@dataclass(frozen=True)
class Asked:
    """What the command line says: parts to grade, a file of settings, seconds (None: not said), the leaderboard."""

    only: tuple[str, ...] = ()
    course: Path | None = None
    seconds: float | None = None
    leaderboard: bool = False


@dataclass(frozen=True)
class Chosen:
    """The homework as it is graded here, with the settings that made it so, None where there are none."""

    assignment: Assignment
    settings: Settings | None
    only: tuple[str, ...]
    seconds: float
    leaderboard: bool
    unread: tuple[Path, ...] = ()
    """Files of settings that are there, too, and do not count."""


def courses(homework: str, asked: Asked, root: Path | None = None) -> list[Path]:
    """The files of settings that are there; the first counts alone.

    --course comes before the file beside run_autograder, and that before the one in the homework's folder.
    """
    places = homeworks.places(homework) if root is None else (root, homeworks.folder(homework))
    there = [place / COURSE for place in dict.fromkeys(places) if (place / COURSE).exists()]
    return [asked.course, *there] if asked.course else there


def chosen(homework: str, asked: Asked = Asked(), *, root: Path | None = None) -> Chosen:
    """By the files of `root` and of the homework's folder, or else of `homeworks.places`.

    Raises `CheckFailed`, a sentence on each line, where the settings or the parts cannot be used, and `NoHomework`.
    """
    files = courses(homework, asked, root)
    root = root or homeworks.places(homework)[0]
    assignment = homeworks.load(homework)
    settings = settings_at(files[0]) if files else None
    if settings is not None:
        assignment = settings.applied(assignment)
    only = asked.only or _packed(root / ONLY)
    limits = settings.course.limits if settings else None
    shown = limits.leaderboard if limits and limits.leaderboard is not None else (root / LEADERBOARD).exists()
    return Chosen(
        parts.selected(assignment, only),
        settings,
        only,
        asked.seconds or (limits and limits.seconds) or SECONDS,
        asked.leaderboard or shown,
        tuple(files[1:]),
    )


def settings_at(path: Path) -> Settings:
    """Reads them. Raises `CheckFailed`."""
    from autograder.intake import coursefile

    return coursefile.read(path)


def _packed(path: Path) -> tuple[str, ...]:
    """The part that a bundle was packed for."""
    return parts.split(path.read_text().splitlines()) if path.exists() else ()


def digest(settings: Settings | None, only: Sequence[str]) -> str:
    """Of what changes a grade beside the grader and the homework; empty where nothing does."""
    return "\0".join([settings.digest if settings else "", *only]) if settings or only else ""
