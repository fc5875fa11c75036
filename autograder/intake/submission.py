"""From an upload (zip or folder) to a safe copy in the homework's layout, with a sentence for whatever was left out.

Nothing of the upload is trusted: names are cleaned, links and special files are left out, every byte is
counted before it is read, and nothing is written but regular files below the workspace.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from autograder import storage
from autograder.core import GIVEN, PACKAGES, Assignment, CheckFailed, Submission
from autograder.intake import names, uploads
from autograder.intake.uploads import MAX_ENTRIES, MAX_TOTAL, File, Listing, shown
from autograder.text import clean

MAX_PICTURES = 4
"""Of one model."""
MAX_INNER = 4
"""Zips within the upload that are looked into."""
MAX_BESIDE = 400
"""Files that come along beside notebooks: a kernel's folder shows each of them."""
MAX_COMPARED = 1024**2
"""Bytes of a file that is compared with the template's; a larger one is no template that nobody touched."""
MAX_CANDIDATES = 20
"""Files that are compared for being one graded file."""
MINUTE = 60
"""Files that were written within one are of one moment: so long may unpacking or zipping them take."""
CODE = (".py", ".ipynb")


class Empty(CheckFailed):
    """Nothing of the upload is graded: what there is has other names, or cannot be read."""


def receive(upload: Path, assignment: Assignment, workspace: Path, *, group: int | None = None) -> Submission:
    """Copies `upload` into the empty folder `workspace` in the layout of the assignment's template.

    Files are found by the end of their path, so that a zip of the folder, of its content or of single
    files all work, and so do a single file and a zip within the upload. What lies beside or below a graded file of code
    comes along to the same place beside it. What the upload lacks and is not graded is taken from the template. With
    `group` the workspace can be read by that group only. Raises `CheckFailed` where there is nothing that could be
    graded.
    """
    sought = tuple(map(PurePosixPath, assignment.graded))
    template = _Template(assignment.template)
    listing = uploads.of(upload, [path.name for path in sought])
    found = [_find(listing, sought, template)]
    found += _inside(listing, sought, template, found[0])
    placed = _Placed()
    for one in found:
        for graded, candidates in one.chosen.items():
            _put(placed, graded, candidates)
    packages = tuple(sorted({name for one in found for root in one.roots for name in dotted(root)}))
    absent = tuple(str(path) for path in sought if path not in placed.files)
    if len(absent) == len(sought):
        listing.close()
        held = ", ".join(clean(str(path), limit=60, line=True) for path in (*sorted(listing.files), *listing.seen)[:12])
        raise Empty(
            f"The upload contains none of the graded files ({', '.join(assignment.graded)}). "
            + (f"It contains: {held}. " if held else "No file in it could be read. ")
            + "".join(f"{remark} " for remark in listing.remarks[:3])
            + "Please upload a zip of your homework folder."
        )
    tops = set[str]()
    for one in found:
        _bring_along(one, placed, listing, tops)
        tops |= {path.parts[0] for path in one.chosen}
    listing.close()
    listing.remarks += [f"{file} was not found in the upload." for file in absent]
    given = _given(assignment.template)
    checks = _own_checks(placed.files, assignment)
    for path in checks & placed.files.keys():
        del placed.files[path]
    digest = hashlib.sha256()
    for path in sorted(placed.files):
        digest.update(f"{path}\0{len(placed.files[path])}\0".encode() + placed.files[path])
    for path, data in given.items():
        if path not in checks:
            placed.put(path, data)
    spare = {PurePosixPath(GIVEN, path): given[path] for path in sought if path in given}
    told = {PurePosixPath(PACKAGES): "".join(f"{name}\n" for name in packages).encode()} if packages else {}
    _write(workspace, {**spare, **placed.files, **told}, group)
    return Submission(workspace, digest.hexdigest(), absent, tuple(listing.remarks), packages=packages)


# ------------------------------------------------------------------------------------------- finding


@dataclass(frozen=True)
class _Candidate:
    """A file that may be a graded one: how alike the names are, how many parts the ends of their paths share.

    `root` is the folder that stands for the first folder of the graded file's path, if that can be told.
    """

    file: File
    alike: int
    end: int
    root: PurePosixPath | None

    @property
    def place(self) -> tuple[Any, ...]:
        """For the order where nothing else tells candidates apart: the nearest place first."""
        path = self.file.path
        return -self.alike, self.file.junk, -self.end, len(path.parts), str(path)


@dataclass
class _Found:
    """What was chosen of one listing: for each graded file one candidate, for a picture several."""

    listing: Listing
    chosen: dict[PurePosixPath, list[_Candidate]] = field(default_factory=dict)

    @property
    def roots(self) -> list[PurePosixPath]:
        """Where the folders of the graded Python files were found; the deepest first."""
        own = {
            one.root
            for graded, candidates in self.chosen.items()
            for one in candidates
            if graded.suffix == ".py" and one.root is not None
        }
        return sorted(own, key=lambda root: (-len(root.parts), str(root)))


def _find(listing: Listing, sought: Sequence[PurePosixPath], template: _Template) -> _Found:
    """The files of the listing that are graded, each with a remark where others could have been.

    Folders that are junk elsewhere are looked into for what stands nowhere else, or there alone is filled in.
    """
    candidates: dict[PurePosixPath, list[_Candidate]] = {}
    for graded in sought:
        own = _candidates(template.students(listing.files.values(), graded), graded)
        spare = _candidates(template.students(listing.spare.values(), graded), graded)
        if spare and not any(template.state(graded, one.file) == FILLED for one in own):
            own += [one for one in spare if template.state(graded, one.file) > OTHER]
        if any(template.state(graded, one.file) == FILLED for one in own if not _is_exported(graded, one)):
            own = [one for one in own if not _is_exported(graded, one)]
        if own:
            candidates[graded] = own
    roots = _best_roots(candidates, template)
    found = _Found(listing)
    for graded, own in candidates.items():
        if graded.suffix in names.PICTURES:  # of several whose name fits the judge takes the best
            found.chosen[graded] = sorted(own, key=lambda one: one.place)[:MAX_PICTURES]
            continue
        chosen = _best(graded, own, roots.get(graded.parts[0]), template)
        found.chosen[graded] = [chosen]
        _tell_others(graded, chosen, own, template, listing)
        if chosen.alike < 3:
            listing.remark(f"{shown(str(chosen.file.path))} was graded as {graded}.")
    return found


def _candidates(files: Iterable[File], graded: PurePosixPath) -> list[_Candidate]:
    """The nearest of the files whose name is like the graded one's."""
    own = []
    for file in files:
        path, alike = file.path, file.name.alike(graded.name)
        if _is_package(file, graded):
            path, alike = file.path.parent, 2
        if alike:
            end = _common_end(path, graded) if file.name.plain.name == graded.name.casefold() or alike > 1 else 0
            inside = len(graded.parts) - 1
            root = PurePosixPath(*path.parts[: len(path.parts) - inside]) if 0 < inside <= end else None
            own.append(_Candidate(file, alike, end, root))
    return sorted(own, key=lambda one: one.place)[:MAX_CANDIDATES]


def _is_package(file: File, graded: PurePosixPath) -> bool:
    """Whether it makes a folder the module that is graded, utils/__init__.py for utils.py."""
    if graded.suffix != ".py" or file.name.folded != "__init__.py" or len(file.path.parts) < 2:
        return False
    return names.folded(file.path.parent.name) == graded.stem.casefold()


def _is_exported(graded: PurePosixPath, one: _Candidate) -> bool:
    """Whether it is a notebook's export, which may stand for it where there is no notebook that was worked on."""
    return graded.suffix == ".ipynb" and one.file.name.plain.suffix != ".ipynb"


def _common_end(path: PurePosixPath, graded: PurePosixPath) -> int:
    """How many parts of the ends of the paths are the same; the files' names count as that."""
    count = 1
    for mine, theirs in zip(reversed(path.parts[:-1]), reversed(graded.parts[:-1]), strict=False):
        if names.folded(mine) != theirs.casefold():
            break
        count += 1
    return count


def _best_roots(candidates: dict[PurePosixPath, list[_Candidate]], template: _Template) -> dict[str, PurePosixPath]:
    """For the first folder of graded Python files the place in the upload that has most of them."""
    places: dict[str, dict[PurePosixPath, dict[PurePosixPath, _Candidate]]] = {}
    for graded, own in candidates.items():
        for one in own:
            if graded.suffix == ".py" and one.root is not None:
                places.setdefault(graded.parts[0], {}).setdefault(one.root, {}).setdefault(graded, one)

    def worth(held: dict[PurePosixPath, _Candidate]) -> tuple[int, ...]:
        states = [template.state(graded, one.file) for graded, one in held.items()]
        ends, alike = max(one.end for one in held.values()), sum(one.alike for one in held.values())
        return -states.count(FILLED), -sum(states), -alike, -ends, max(one.file.junk for one in held.values())

    return {
        top: min(roots, key=lambda root: (worth(roots[root]), len(root.parts), str(root))) if len(roots) > 1 else only
        for top, roots in places.items()
        for only in [next(iter(roots))]
    }


def _best(
    graded: PurePosixPath, own: Sequence[_Candidate], root: PurePosixPath | None, template: _Template
) -> _Candidate:
    """What is filled in before an untouched template; then the right name; then the newest; then the nearest place."""
    if len(own) == 1:
        return own[0]
    rest = _most(own, lambda one: template.state(graded, one.file))
    rest = _most(rest, lambda one: one.alike > 1)
    newest = max(one.file.date for one in rest)
    rest = _most(rest, lambda one: one.file.date >= newest - MINUTE)
    return min(_most(rest, lambda one: root is not None and one.root == root), key=lambda one: one.place)


def _most(own: Sequence[_Candidate], worth: Callable[[_Candidate], int]) -> list[_Candidate]:
    most = max(map(worth, own))
    return [one for one in own if worth(one) == most]


def _tell_others(
    graded: PurePosixPath, chosen: _Candidate, own: Sequence[_Candidate], template: _Template, listing: Listing
) -> None:
    """Names the candidates that say something else than the one that was chosen, and why that one was."""
    others = [one for one in own if one is not chosen and one.file.data() not in (None, chosen.file.data())]
    if not others:
        return
    state = template.state(graded, chosen.file)
    rivals = [one for one in others if template.state(graded, one.file) == state]
    newest = bool(rivals) and all(one.file.date < chosen.file.date - MINUTE for one in rivals)
    reasons = ["filled in"] if len(rivals) < len(others) and state == FILLED else []
    reasons += ["the newest"] if newest else []
    because = f", because it is {' and '.join(reasons)}" if reasons else ""
    named = ", ".join(shown(str(one.file.path)) for one in others[: uploads.SHOWN])
    more = f" and {len(others) - uploads.SHOWN} more" if len(others) > uploads.SHOWN else ""
    listing.remark(
        f"There is more than one {graded.name}. {shown(str(chosen.file.path))} was graded{because}. Not graded: "
        f"{named}{more}."
    )


# ------------------------------------------------------------------------------------ what is filled in

OTHER, UNTOUCHED, BROKEN, FILLED = range(4)
"""What a file is beside the template's: something else, the same, a notebook that cannot be read, or worked on."""
DEFINED = re.compile(rb"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)


class _Template:
    """Tells what a student did to a file that was handed out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._states: dict[tuple[PurePosixPath, int], int] = {}

    def students(self, files: Iterable[File], graded: PurePosixPath) -> Iterator[File]:
        """The files without those that were handed out as they are under another path than the graded one's.

        A homework's own checks of a notebook may be called like it: they are no export of it.
        """
        for file in files:
            same = _given_by_name(self.folder).get(file.name.folded, {})
            others = [lines for path, lines in same.items() if path != graded]
            if not others or _lines(".py", file.data() or b"") not in others:
                yield file

    def state(self, graded: PurePosixPath, file: File) -> int:
        """OTHER, UNTOUCHED, BROKEN or FILLED. A file of which there is no template is FILLED if anything is in it."""
        key = graded, id(file)
        if key not in self._states:
            self._states[key] = self._state(graded, file.data() or b"")
        return self._states[key]

    def _state(self, graded: PurePosixPath, data: bytes) -> int:
        handed_out = _handed_out(self.folder / graded)
        if not data.strip():
            return OTHER
        if handed_out is None or len(data) > MAX_COMPARED:
            return FILLED
        mine, theirs = _lines(graded.suffix, data), _lines(graded.suffix, handed_out)
        if mine is None:
            return BROKEN
        if mine == theirs:
            return UNTOUCHED
        if graded.suffix == ".py" and not set(DEFINED.findall(data)) & set(DEFINED.findall(handed_out)):
            return OTHER
        return FILLED


@cache
def _handed_out(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _lines(suffix: str, data: bytes) -> list[bytes] | None:
    """The lines that say something, without comments; of a notebook those of its code cells, None where it is none."""
    if suffix == ".ipynb":
        try:
            tree = json.loads(data.decode("utf-8", "replace"))
            sheets = [tree, *tree.get("worksheets", [])]
            cells = [cell for sheet in sheets for cell in sheet.get("cells", []) if cell["cell_type"] == "code"]
            sources = [cell.get("source", cell.get("input", "")) for cell in cells]
            text = "\n".join(one if isinstance(one, str) else "".join(one) for one in sources)
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            return None
        data = text.encode("utf-8", "replace")
    lines = (line.strip() for line in data.splitlines())
    return [line for line in lines if line and not line.startswith(b"#")]


# --------------------------------------------------------------------------------- a zip within the upload


def _inside(listing: Listing, sought: Sequence[PurePosixPath], template: _Template, outside: _Found) -> list[_Found]:
    """What zips within the upload add: graded files of whose folder the upload has nothing but the template.

    Where something else can be graded, a fault of such a zip is a remark; a starter that lies in it replaces nothing.
    Takes from `outside` what is replaced.
    """
    added: list[_Found] = []
    faults: list[CheckFailed] = []
    for file in sorted(listing.zips, key=lambda one: (len(one.path.parts), str(one.path)))[:MAX_INNER]:
        settled = {
            graded.parts[0]
            for found in (outside, *added)
            for graded, candidates in found.chosen.items()
            if any(template.state(graded, one.file) != UNTOUCHED for one in candidates)
        }
        wanted = [graded for graded in sought if graded.parts[0] not in settled]
        if not wanted:
            break
        name = str(file.path)
        try:
            inner = _listed(file, listing, wanted)
        except CheckFailed as fault:
            faults.append(fault)
            listing.remark(f"{shown(name)} was left out: {fault}")
            continue
        found = _find(inner, wanted, template)
        before = {graded.parts[0] for one in (outside, *added) for graded in one.chosen}
        filled = {
            graded.parts[0]
            for graded, candidates in found.chosen.items()
            if any(template.state(graded, one.file) == FILLED for one in candidates)
        }
        found.chosen = {
            graded: own
            for graded, own in found.chosen.items()
            if graded.parts[0] in filled or graded.parts[0] not in before
        }
        for one in (outside, *added):
            one.chosen = {graded: own for graded, own in one.chosen.items() if graded.parts[0] not in filled}
        inner.close()
        if found.chosen or not before:
            for remark in inner.remarks:
                listing.remark(remark)
            listing.seen += sorted(map(str, inner.files))
        if found.chosen and before:
            files = ", ".join(map(str, found.chosen))
            listing.remark(f"{shown(name)} contains {files}, which was graded.")
        listing.total = inner.total
        added.append(found)
    if faults and not any(found.chosen for found in (outside, *added)):
        raise faults[0]
    return added


def _listed(file: File, around: Listing, wanted: Sequence[PurePosixPath]) -> Listing:
    """The listing of an archive within an upload, whose bytes count with those around it."""
    around.total += file.size
    if around.total > MAX_TOTAL:
        around.total -= file.size
        raise CheckFailed("The upload unpacks to more than 200 MB. Please leave data and checkpoints out of it.")
    inner = Listing([path.name for path in wanted], around.total, listed=around.listed)
    data = file.reader()
    if data is None:
        raise CheckFailed("it could not be read.")
    uploads.list_archive(data, inner, str(file.path))
    inner.zips.clear()
    return inner


# ------------------------------------------------------------------------------------------- placing


class _Placed:
    """The files of the workspace. No two differ in case alone, and none stands where another's folder has to be."""

    def __init__(self) -> None:
        self.files: dict[PurePosixPath, bytes] = {}
        self.size = 0
        self._names: set[str] = set()
        self._folders: set[str] = set()

    def fits(self, path: PurePosixPath) -> bool:
        folders = [str(folder).casefold() for folder in path.parents][:-1]
        own = str(path).casefold()
        return own not in self._names and own not in self._folders and self._names.isdisjoint(folders)

    def put(self, path: PurePosixPath, data: bytes) -> None:
        """Keeps the file, unless something is in its place."""
        if self.fits(path):
            self.files[path] = data
            self.size += len(data)
            self._names.add(str(path).casefold())
            self._folders.update(str(folder).casefold() for folder in path.parents)


def _put(placed: _Placed, graded: PurePosixPath, candidates: Sequence[_Candidate]) -> None:
    held = [data for one in candidates if (data := one.file.data()) is not None]
    for seat, data in enumerate(held):
        placed.put(graded.with_stem(f"{graded.stem}-{seat}") if seat else graded, data)


def _bring_along(found: _Found, placed: _Placed, listing: Listing, settled: Collection[str]) -> None:
    """Puts what lies beside or below a graded file of code to the same place beside it.

    The folder of graded Python files is placed once, under the template's name for it. Nothing hidden comes along, and
    no notebook but one that a graded notebook names (`%run helpers.ipynb`). `settled` are folders of the workspace
    into which no file of another origin is mixed.
    """
    used = {
        one.file.path
        for graded, candidates in found.chosen.items()
        for one in candidates
        if not _is_package(one.file, graded)  # which is imported from its own place, too
    }
    places: dict[tuple[PurePosixPath, PurePosixPath], None] = {}
    own = [(graded, one) for graded, candidates in found.chosen.items() for one in candidates if graded.suffix in CODE]
    for graded, one in sorted(own, key=lambda pair: (pair[0].suffix != ".py", -len((pair[1].root or _TOP).parts))):
        places[
            (one.file.path.parent, graded.parent) if one.root is None else (one.root, PurePosixPath(graded.parts[0]))
        ] = None
    roots = found.roots
    run = _named(b"".join(one.file.data() or b"" for graded, one in own if graded.suffix == ".ipynb"))
    conflicts = 0
    for source, target in places:
        below = [root for root in roots if root != source and root.is_relative_to(source)]
        beside = 0
        for file in _near(found.listing, source):
            if file.path == source:  # a zip can hold a file and a folder of one name
                continue
            path = file.path.relative_to(source)
            path = path.with_name(file.name.module)
            path = target / path
            if file.path in used or path.parts[0].startswith(".") or path.parts[0] in settled or path in placed.files:
                continue
            if any(file.path.is_relative_to(root) for root in below):
                continue
            if file.name.plain.suffix == ".ipynb" and not any(one.endswith(file.path.name.encode()) for one in run):
                continue
            if not placed.fits(path):
                conflicts += 1
                continue
            if len(placed.files) >= MAX_ENTRIES or placed.size + file.size > MAX_TOTAL or beside >= MAX_BESIDE:
                listing.remark(f"Not all files beside {shown(str(source))} were copied, because there are too many.")
                break
            beside += target == _TOP
            if (data := file.data()) is not None:
                if path.name != file.path.name:
                    listing.note(f"was read as if its name ended in {path.suffix}.", str(file.path))
                placed.put(path, data)
    if conflicts:
        listing.remark(f"These files were left out, because another file has their place: {conflicts}.")


_TOP = PurePosixPath()
MAX_NAMED = 100


def _named(text: bytes) -> list[bytes]:
    """What stands in front of the first mentions of notebooks, each with its name's end."""
    found, at = list[bytes](), -1
    while len(found) < MAX_NAMED and (at := text.find(b".ipynb", at + 1)) >= 0:
        found.append(text[max(0, at - names.MAX_NAME) : at + len(b".ipynb")])
    return found


def _near(listing: Listing, source: PurePosixPath) -> Iterator[File]:
    """The files below `source`, the nearest first; of folders that are junk elsewhere the Python files."""
    depth = names.doubtful(source.parts)
    files = [file for file in listing.files.values() if file.path.is_relative_to(source)]
    files += [
        file
        for file in listing.spare.values()
        if file.path.is_relative_to(source)
        and (
            file.junk == depth
            or (file.name.plain.suffix == ".py" and names.holds_modules(file.path.relative_to(source).parts[:-1]))
        )
    ]
    yield from sorted(files, key=lambda file: (file.junk, len(file.path.parts), str(file.path)))


def _own_checks(files: Mapping[PurePosixPath, bytes], assignment: Assignment) -> set[PurePosixPath]:
    """The handed-out files that a submission is graded without: those with which students check themselves.

    None of them where the upload changed one of them, or where its code mentions one in a way that may import it.
    """
    folders = tuple(map(PurePosixPath, assignment.own_checks))
    given = _given(assignment.template)
    own = {path for path in given if any(path.is_relative_to(folder) for folder in folders)}
    if any(path in files and _lines(".py", files[path]) != _lines(".py", given[path]) for path in own):
        return set()
    stems = b"|".join(sorted({re.escape(folder.stem.encode()) for folder in folders}))
    named = re.compile(rb"\b(?:%s)\b" % stems)
    code = ((path.suffix, data) for path, data in files.items() if path.suffix in CODE and path not in own)
    return own if own and not any(_may_import(suffix, data, named) for suffix, data in code) else set()


def _may_import(suffix: str, code: bytes, named: re.Pattern[bytes]) -> bool:
    """Whether the code names a module behind `import` or `from`, as a file or in quotation marks; in doubt it does.

    The time is linear in the code's length, whatever it is.
    """
    for count, found in enumerate(named.finditer(code)):
        before, behind = (
            code[max(0, found.start() - names.MAX_NAME) : found.start()],
            code[found.end() : found.end() + 3],
        )
        line = before[before.rfind(b"\n") + 1 :]
        # In a notebook the quotation marks of its code stand behind a backslash; "check" is the id of a cell.
        quoted = before.endswith((b'\\"', b"'") if suffix == ".ipynb" else (b'"', b"'"))
        if count == MAX_NAMED or quoted or behind == b".py" or b"import" in line or b"from" in line:
            return True
    return False


def dotted(folder: PurePosixPath) -> Iterator[str]:
    """The names by which code can import this folder, from wherever above it the import begins: c, b.c, a.b.c.

    Plain identifiers only, as Python compares them (NFKC). Whether a name also belongs to an installed package is for
    the loader to find out.
    """
    name = ""
    for part in reversed(folder.parts):
        plain = unicodedata.normalize("NFKC", part)
        if not plain.isidentifier() or keyword.iskeyword(plain):
            return
        name = f"{plain}.{name}" if name else plain
        yield name


@cache
def _given(template: Path) -> dict[PurePosixPath, bytes]:
    """The template's Python files, read once for a whole class."""
    return {
        PurePosixPath(path.relative_to(template).as_posix()): path.read_bytes()
        for path in sorted(template.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


@cache
def _given_by_name(template: Path) -> dict[str, dict[PurePosixPath, list[bytes]]]:
    """The lines of the template's Python files, by their names and paths."""
    found: dict[str, dict[PurePosixPath, list[bytes]]] = {}
    for path, data in _given(template).items():
        found.setdefault(names.folded(path.name), {})[path] = _lines(".py", data) or []
    return found


def _write(workspace: Path, files: dict[PurePosixPath, bytes], group: int | None) -> None:
    for path, data in files.items():
        target = workspace / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except (OSError, ValueError) as error:  # a file system with stranger rules
            if isinstance(error, OSError) and error.errno in storage.NO_SPACE:
                raise  # our disk is full, which is not the submission's fault
            raise CheckFailed(f"{shown(str(path))} could not be unpacked.") from None
    for target in [workspace, *workspace.rglob("*")]:
        if group is not None:
            os.chown(target, 0, group)
        target.chmod(
            (0o550 if target.is_dir() else 0o440) if group is not None else (0o755 if target.is_dir() else 0o644)
        )
