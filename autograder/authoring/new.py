"""Write a new homework that works at once: one question, two checks, solutions that prove them, and tests."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from autograder.authoring import template

STARTER = Path(__file__).resolve().with_name("starter")
WRITTEN, NOT_USABLE, OUR_FAULT = 0, 2, 3
MOST = 200
"""Characters of a title."""


def run(folder: Path, title: str = "") -> int:
    """Writes the homework into `folder`, which is new or empty. Returns 0; 2 for a folder or title that cannot be used.

    A run that fails, of a full disk for instance, takes away what it wrote, and returns 3.
    """
    folder = folder.expanduser().absolute()
    title = title.strip() or _title(folder.name)
    if fault := _fault(folder, title):
        print(fault, file=sys.stderr)
        return NOT_USABLE
    there = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, title)
    except OSError as error:
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if not there and folder.is_dir():
            folder.rmdir()
        print(f"{error.filename or folder} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return OUR_FAULT
    print(
        f"{folder}: the homework {title!r}, with one question and two checks.\n"
        "It works at once. Try it, then change it (docs/new-homework.md says how):\n"
        f"  python3 -m autograder grade {folder}/reference --homework {folder}\n"
        f"  python3 -m autograder bundle --homework {folder} --out dist"
    )
    return WRITTEN


def _fault(folder: Path, title: str) -> str:
    """Why a homework cannot be written there; "" where it can."""
    if not re.fullmatch(r"[\w-]+", folder.name) or folder.name.startswith("-"):
        return (
            f"{folder.name!r} cannot be the name of a homework's folder, because it is also a Python package. "
            "Allowed: letters, digits, _ and -."
        )
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file. Give a folder that is new or empty."
    if folder.is_dir() and any(folder.iterdir()):
        return f"{folder} is not empty, and the command overwrites nothing. Give a folder that is new or empty."
    if len(title) > MOST or not title.isprintable():
        return f"A title is a single line of at most {MOST} characters."
    return ""


def _title(name: str) -> str:
    """ "softmax_homework" becomes "Softmax homework"."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return (words[:1].upper() + words[1:]) or name


def _write(folder: Path, title: str) -> None:
    for source in sorted(STARTER.rglob("*")):
        path = folder / source.relative_to(STARTER)
        path = (
            path.with_suffix("") if path.suffix == ".txt" else path
        )  # a module of tests, which is none of the engine's
        if "__pycache__" in source.parts or source.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if source.name == "__init__.py":
            text = re.sub(
                r"^TITLE = .*$", lambda _: f"TITLE = {json.dumps(title, ensure_ascii=False)}", text, flags=re.M
            )
        if source.name == "README.md":
            text = text.replace("TITLE", title, 1)
        path.write_text(text, encoding="utf-8")
    template.generate(folder / "reference", folder / "student_template")
