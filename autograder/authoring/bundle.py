"""Pack the homework for those who get it: a zip that Gradescope builds the grader from, and the students' zip."""

from __future__ import annotations

import hashlib
import io
import stat
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from autograder import homeworks, storage
from autograder.authoring import template
from autograder.intake.places import COURSE, LEADERBOARD, ONLY
from autograder.text import shown

if TYPE_CHECKING:  # at run time only for parts and settings: else nothing but Python is needed
    from autograder.core import Assignment
    from autograder.intake.chosen import Asked

GRADESCOPE, STUDENTS = "autograder.zip", "student_template.zip"
LEFT_BY_RUNS = ("data", "results", "submission.zip")
"""By training, by the notebooks and by check.py; caches and hidden names never count."""
LOG = "submission_log.json"
"""What running the template's notebook leaves beside it."""
STAFFS = ("audit", "classroom", "solutions", "pages", "starter")
"""Folders of the staff's, which grade the grader and whole classes, or begin a homework: no grade depends on them."""
_LEFT_IN_TEMPLATE = (*LEFT_BY_RUNS, LOG)
_ROOMS: Mapping[str, tuple[str, ...]] = {  # what grading needs, and which names below it stay behind
    "setup.sh": (),
    "run_autograder": (),
    "autograder": STAFFS,
    "reference": LEFT_BY_RUNS,
    "student_template": _LEFT_IN_TEMPLATE,
}


PLACE = "homework"
"""The folder of the grader's zip for a homework that lies in a folder of its own."""


def files(root: Path) -> list[Path]:
    """What the grader's zip holds, as sorted paths below `root`, the folder of the repository."""
    return sorted(path for room, left_out in _ROOMS.items() for path in below(root / room, left_out))


def files_of(root: Path, homework: str) -> tuple[dict[str, Path], str]:
    """The same for another homework than this repository's, by name in the zip; and what the homework is called there.

    The engine comes without this repository's homework. Raises ValueError where the homework's reference or template
    lies outside of its folder, and so would be missing.
    """
    own = homeworks.DEFAULT.rpartition(".")[2]
    found = {
        path.relative_to(root).as_posix(): path
        for room in ("setup.sh", "run_autograder", "autograder")
        for path in below(root / room, (*STAFFS, own))
    }
    assignment = homeworks.load(homework)
    name = homeworks.package(homework)
    folder = homeworks.folder(homework)
    inside = f"{PLACE}/{folder.name}" if name.startswith(f"{homeworks.FOLDERS}.") else name.replace(".", "/")
    handed_out = {assignment.reference.resolve(): LEFT_BY_RUNS, assignment.template.resolve(): _LEFT_IN_TEMPLATE}
    for place in handed_out:
        if not place.is_relative_to(folder):
            raise ValueError(f"{place} lies outside {folder}. Move it there, so that the zip contains everything.")
    for path in below(folder, (*STAFFS, "tests")):
        if path.suffix == ".cases":  # solutions
            continue
        of = next((place for place in handed_out if path.resolve().is_relative_to(place)), None)
        if of is None or not set(path.resolve().relative_to(of).parts) & set(handed_out[of]):
            found[f"{inside}/{path.relative_to(folder).as_posix()}"] = path
    for above in list(Path(inside).parents)[:-1] if not inside.startswith(f"{PLACE}/") else []:
        init = folder.parents[len(Path(inside).parts) - 1] / above / "__init__.py"
        if init.is_file():
            found[f"{above.as_posix()}/__init__.py"] = init
    return found, inside if inside.startswith(f"{PLACE}/") else name


def below(place: Path, left_out: Iterable[str]) -> list[Path]:
    """`place` if it is no folder; else the files below it of which no name is left out, a cache or hidden."""
    if not place.is_dir():
        return [place]

    def is_packed(path: Path) -> bool:
        names = path.relative_to(place).parts
        return path.is_file() and not any(name[0] == "." or name in (*left_out, "__pycache__") for name in names)

    return [path for path in place.rglob("*") if is_packed(path)]


def named_below(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """The paths by their names below `folder`."""
    return {path.relative_to(folder).as_posix(): path for path in paths}


def packed(paths: Mapping[str, Path], more: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """A zip of `paths` by their names in it, whose bytes follow from names, contents and the right to execute.

    `more` are contents by name that are in no file.

    So order and times are fixed, and nothing is compressed: what deflate makes of the same bytes depends on the
    machine's zlib, and all is small. Raises OSError for what cannot be read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(paths.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # the first that a zip can tell
            entry.create_system = 3  # UNIX, on whatever machine: only so is the mode read
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, runnable(path.read_bytes()))
        for name, content in sorted(more.items()):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def runnable(content: bytes) -> bytes:
    """A script with the line ends that Linux can run, which git on Windows may have changed; all else as it is."""
    return content.replace(b"\r\n", b"\n") if content.startswith(b"#!") else content


@dataclass(frozen=True)
class Piece:
    """What one assignment on Gradescope gets: the homework, or of the `whole` the `part` that `only` selects.

    `name` is the end of its zips' names.
    """

    name: str = ""
    only: tuple[str, ...] = ()
    whole: Assignment | None = None
    part: Assignment | None = None

    def zips(self) -> tuple[str, str]:
        """The names of Gradescope's and of the students' zip."""
        gradescope, students = (f"{Path(zip).stem}{self.name}.zip" for zip in (GRADESCOPE, STUDENTS))
        return gradescope, students

    def handed_out(self, template: Path) -> list[Path]:
        """The files of the students' zip."""
        listed = below(template, _LEFT_IN_TEMPLATE)
        if self.whole is None or self.part is None or not self.only:
            return listed
        from autograder.intake import parts

        return parts.handed_out(self.whole, self.part, template, listed)

    def line(self) -> str:
        """What it is worth, and which files it expects."""
        assert self.part is not None
        extra = f" and {shown(self.part.extra)} optional" if self.part.extra else ""
        files = ", ".join(self.part.graded)
        return f"{self.zips()[0]}: {self.part.title}, {shown(self.part.points)}{extra} points; it expects {files}"


def run(
    root: Path,
    out: Path,
    *,
    leaderboard: bool = False,
    homework: str = homeworks.DEFAULT,
    asked: Asked | None = None,
    each: bool = False,
    folders: tuple[Path, Path] | None = None,
) -> int:
    """Writes both zips of the `homework` into the folder `out`, and tells their digests.

    `root` is the repository; `folders` are the homework's reference and template, if they are not those of `root`.

    With `leaderboard` the grader shows the homework's leaderboard entries. The zips hold what was `asked` of settings
    and parts, so that the grader finds it there; with `each` every question gets two zips, and so does every part that
    the homework names. Returns 0, or 2 with a sentence on stderr. Nothing is written before all was read and the
    template was found to be what the reference gives; each zip is written by rename.
    """
    reference, students = folders or (root / "reference", root / "student_template")
    own = homework == homeworks.DEFAULT
    rooms = [root / room for room in (_ROOMS if own else ("autograder",))]
    rooms += [] if own else [homeworks.folder(homework)]
    what = root if own else homework
    print(f"Packing {what}: {GRADESCOPE} for Gradescope and {STUDENTS} for the students, into {out.absolute()}.")
    if any(room.resolve() in (out.resolve(), *out.resolve().parents) for room in rooms):
        return _refuse(
            f"{out} lies in a folder that is packed, so the next zips would contain these. Give another --out."
        )
    try:
        if stale := template.differences(reference, students):
            more_words = "" if own else f" --homework {homework}"
            return _refuse(
                f"{students.name}/ differs from the result of {reference.name}/ in {len(stale)} of its files: "
                f"{stale[0]} Run `python3 -m autograder template{more_words}`, which makes it again, and check the "
                "changes."
            )
        listed, chosen = (named_below(root, files(root)), "") if own else files_of(root, homework)
        pieces, more, notes = _pieces(root, homework, asked, each=each)
        # In the homework's folder settings would be a second copy, or those of another course.
        for name in [name for name, path in listed.items() if path.name in (COURSE, *more) and not own]:
            if listed[name].parent == homeworks.folder(homework):
                del listed[name]
        more |= {LEADERBOARD: b""} if leaderboard else {}
        more |= {homeworks.CHOSEN: f"{chosen}\n".encode()} if chosen else {}
        contents = {}
        for piece in pieces:
            only = {ONLY: "".join(f"{one}\n" for one in piece.only).encode()} if piece.only else {}
            gradescopes, students_own = piece.zips()
            contents[gradescopes] = packed(listed, more | only)
            contents[students_own] = packed(named_below(students, piece.handed_out(students)))
    except OSError as error:
        return _refuse(f"{error.filename} cannot be read: {error.strerror}.")
    except ValueError as error:  # a solution marker that is not right, a part or settings that cannot be used
        return _refuse(str(error))
    if mended := [path.name for path in listed.values() if path.read_bytes() != runnable(path.read_bytes())]:
        print(f"Packed with Linux line ends, which they need to run there: {', '.join(mended)}.")
    for name, content in contents.items():
        try:
            storage.save(out / name, content)
        except OSError as error:
            return _refuse(f"{out / name} cannot be written: {error.strerror}. Choose another folder with --out.")
        print(f"{out / name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    for line in (*(piece.line() for piece in pieces if piece.part is not None), *notes):
        print(line)
    if each:
        print("Upload each zip unchanged to its assignment on Gradescope. The same files give the same digests.")
    else:
        print(
            f"Upload {GRADESCOPE} unchanged, and give {STUDENTS} to the students. The same files give the same digests."
        )
    return 0


def is_of_parts(places: Iterable[Path], asked: Asked | None, *, each: bool) -> bool:
    """Whether settings or parts are packed, for which the homework is imported. `places`: see homeworks.places."""
    given = asked is not None and bool(asked.only or asked.course)
    return each or given or any((place / name).exists() for place in places for name in (COURSE, ONLY))


def _pieces(
    root: Path, homework: str, asked: Asked | None, *, each: bool
) -> tuple[list[Piece], dict[str, bytes], list[str]]:
    """What is packed; which files it holds beside the repository's; and what the staff should know.

    Without settings, parts and `each` no homework is imported: all is packed as it is. Raises ValueError and OSError.
    """
    places = homeworks.places(homework, root)
    if not is_of_parts(places, asked, each=each):
        return [Piece()], {}, []
    from autograder.core import CheckFailed
    from autograder.intake import parts
    from autograder.intake.chosen import Asked, chosen

    try:
        own = chosen(homework, asked or Asked(), root=places[0])
    except CheckFailed as fault:
        raise ValueError(str(fault)) from None
    whole = homeworks.load(homework)
    more: dict[str, bytes] = {}
    notes: list[str] = []
    if own.settings is not None:
        more[COURSE] = own.settings.text.encode()
        if own.settings.course.late is not None and own.settings.course.late.extensions is not None:
            more[own.settings.course.late.extensions] = own.settings.data
        notes = [f"note: {line}" for line in own.settings.warnings(own.assignment)]
    if not each:
        return [Piece("", own.only, whole, own.assignment)], more, notes
    pieces = []
    for question in own.assignment.questions:
        only = tuple(check.id for check in question.checks) if own.only else (question.id,)
        pieces.append(Piece(f"-{question.number}-{question.id}", only, whole, parts.selected(own.assignment, only)))
    held = set(parts.checks(own.assignment))
    for part in whole.parts:
        if held >= set(parts.checks(parts.selected(whole, part.only))):
            made = replace(parts.selected(own.assignment, part.only), title=part.title)
            pieces.append(Piece(f"-{part.id}", part.only, whole, made))
    return pieces, more, notes


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2
