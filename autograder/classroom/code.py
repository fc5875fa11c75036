"""A submission's graded files as people read them: numbered lines beside the template's, and pictures.

Nothing of a student's is run here. A file is text that is cut to a length, a notebook is JSON whose cells are shown as
text, and a picture is bytes that begin like a PNG or a JPEG and are not too large to draw.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal

from autograder.text import clean

MOST_LINES = 3000
"""Of one file that are shown."""
MOST_COMPARED = 2000
MOST_MATCHES = 8
"""Lines of either file beyond which no comparison is made, and equal lines for each on the average: difflib's time
grows with their product, and a file can be written to make it grow."""
LONGEST = 400
"""Characters of a line that are shown."""
CONTEXT, FOLDED = 3, 10
"""Lines beside a change that stay open, and lines as in the template from which on they are folded away."""
TEXT = (".py", ".toml", ".json", ".txt", ".md", ".cfg", ".csv")
MOST_PICTURES = 12
MOST_PICTURE = 6 * 1024**2
MOST_PIXELS = 40_000_000

Kind = Literal["same", "added", "removed", "heading"]


@dataclass(frozen=True)
class CodeLine:
    """`number` is its place in the file or cell, 0 for a heading such as "code cell 3"."""

    number: int
    text: str


@dataclass(frozen=True)
class Block:
    """Neighbouring lines of one kind."""

    kind: Kind
    lines: tuple[CodeLine, ...]

    @property
    def start(self) -> int:
        return self.lines[0].number


@dataclass(frozen=True)
class Fold:
    """Blocks as in the template that are far from any change."""

    blocks: tuple[Block, ...]

    @property
    def count(self) -> int:
        return sum(len(block.lines) for block in self.blocks if block.kind == "same")


@dataclass(frozen=True)
class Shown:
    """A file beside the template's. `state` says in words how it stands to that; `cut` what is not shown."""

    name: str
    state: str
    parts: tuple[Block | Fold, ...]
    added: int = 0
    removed: int = 0
    cut: str = ""

    @property
    def touched(self) -> bool:
        return self.state != UNTOUCHED


UNTOUCHED, CHANGED, NEW = "as it was handed out", "changed", "not in the template"


@dataclass(frozen=True)
class Picture:
    """Something to look at: where it was found, its type and its bytes."""

    name: str
    kind: Literal["image/png", "image/jpeg"]
    data: bytes


# ---------------------------------------------------------------------------------------------- text


def shown(name: str, data: bytes, template: bytes | None) -> Shown:
    """The file beside the template's of that name, if there is one."""
    mine, cut = _lines(name, data)
    if template is None:
        return Shown(name, NEW, tuple(_blocks("added", mine)), len(mine), 0, cut)
    if template == data:
        return Shown(name, UNTOUCHED, tuple(_folded(mine)), cut=cut)
    theirs, _ = _template_lines(name, template)
    if [line.text for line in theirs] == [line.text for line in mine]:
        return Shown(name, UNTOUCHED, tuple(_folded(mine)), cut=cut)
    if not _comparable(theirs, mine):
        said = "It is too long or too repetitive to be compared with the template."
        return Shown(name, CHANGED, tuple(_blocks("same", mine)), cut=" ".join(filter(None, (cut, said))))
    parts: list[Block | Fold] = []
    added = removed = 0
    matcher = difflib.SequenceMatcher(None, [line.text for line in theirs], [line.text for line in mine])
    for tag, low, high, start, end in matcher.get_opcodes():
        if tag == "equal":
            parts += _folded(mine[start:end], first=start == 0, last=end == len(mine))
            continue
        if high > low:
            parts += _blocks("removed", theirs[low:high])
            removed += sum(line.number > 0 for line in theirs[low:high])
        if end > start:
            parts += _blocks("added", mine[start:end])
            added += sum(line.number > 0 for line in mine[start:end])
    return Shown(name, CHANGED, tuple(parts), added, removed, cut)


def _comparable(theirs: Sequence[CodeLine], mine: Sequence[CodeLine]) -> bool:
    """Whether difflib is quick with them: it drops lines that are more than a hundredth of a long file itself."""
    if max(len(theirs), len(mine)) > MOST_COMPARED:
        return False
    counts = Counter(line.text for line in mine)
    popular = len(mine) // 100 + 1 if len(mine) >= 200 else len(mine)
    matches = sum(counts[line.text] for line in theirs if counts[line.text] <= popular)
    return matches <= MOST_MATCHES * max(len(theirs), len(mine), 200)


def _blocks(kind: Kind, lines: Sequence[CodeLine]) -> Iterator[Block]:
    """Blocks of one kind, broken at headings and where numbers begin anew."""
    start = 0
    for at, line in enumerate(lines):
        if line.number == 0:
            if at > start:
                yield Block(kind, tuple(lines[start:at]))
            if kind != "removed":
                yield Block("heading", (line,))
            start = at + 1
    if len(lines) > start:
        yield Block(kind, tuple(lines[start:]))


def _folded(lines: Sequence[CodeLine], *, first: bool = True, last: bool = True) -> Iterator[Block | Fold]:
    """Lines as in the template; those that are far from a change are folded away."""
    low = 0 if first else CONTEXT
    high = len(lines) if last else len(lines) - CONTEXT
    if high - low < FOLDED - 2 * CONTEXT:
        yield from _blocks("same", lines)
        return
    yield from _blocks("same", lines[:low])
    yield Fold(tuple(_blocks("same", lines[low:high])))
    yield from _blocks("same", lines[high:])


@lru_cache(maxsize=64)
def _template_lines(name: str, data: bytes) -> tuple[tuple[CodeLine, ...], str]:
    return _lines(name, data)


def _lines(name: str, data: bytes) -> tuple[tuple[CodeLine, ...], str]:
    """The file's lines, and what of it is not shown."""
    if name.endswith(".ipynb"):
        cells = _cells(data)
        if cells is None:
            return _numbered(_text(data)), ""
        lines: list[CodeLine] = []
        for title, source, _ in cells:
            lines += [CodeLine(0, title), *_numbered(source)]
    else:
        lines = list(_numbered(_text(data)))
    cut = f"{len(lines) - MOST_LINES} more lines are not shown." if len(lines) > MOST_LINES else ""
    return tuple(lines[:MOST_LINES]), cut


def _numbered(text: str) -> tuple[CodeLine, ...]:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return tuple(CodeLine(number, clean(line, limit=LONGEST)) for number, line in enumerate(lines[: MOST_LINES + 1], 1))


def _text(data: bytes) -> str:
    text = data[: 4 * 1024**2].decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)


def _cells(data: bytes) -> list[tuple[str, str, list[Any]]] | None:
    """A notebook's cells as (title, source, outputs); None where it is none. Titles count code cells that hold code."""
    try:
        tree = json.loads(data)
        cells = [cell for sheet in (tree, *tree.get("worksheets", ())) for cell in sheet.get("cells", ())]
        found = []
        number = 0
        for cell in cells:
            source = cell.get("source", cell.get("input", ""))
            text = source if isinstance(source, str) else "".join(map(str, source))
            code = cell.get("cell_type") == "code"
            if not text.strip():
                continue
            number += code
            outputs = cell.get("outputs", []) if code else []
            title = f"code cell {number}" if code else "text"
            found.append((title, _text(text.encode("utf-8", "replace")), outputs if isinstance(outputs, list) else []))
        return found
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in (*TEXT, ".ipynb")


# ------------------------------------------------------------------------------------------ pictures


def pictures(name: str, data: bytes) -> list[Picture]:
    """What is to be seen in a file: itself, or what a notebook's cells drew."""
    if name.endswith(".ipynb"):
        found: list[Picture] = []
        for title, _, outputs in _cells(data) or []:
            for output in outputs:
                for raw in _drawn(output):
                    kind = _kind(raw)
                    if kind is not None and len(found) < MOST_PICTURES:
                        found.append(Picture(f"{name}, {title}", kind, raw))
        return found
    kind = _kind(data)
    return [] if kind is None else [Picture(name, kind, data)]


def _drawn(output: Any) -> Iterator[bytes]:
    held = output.get("data") if isinstance(output, dict) else None
    for form in ("image/png", "image/jpeg"):
        text = held.get(form) if isinstance(held, dict) else None
        text = "".join(map(str, text)) if isinstance(text, list) else text
        if isinstance(text, str) and len(text) <= 2 * MOST_PICTURE:
            try:
                yield base64.b64decode(text)
            except (binascii.Error, ValueError):
                continue


def _kind(data: bytes) -> Literal["image/png", "image/jpeg"] | None:
    """What the bytes are, None where they are no picture or one that a browser should not be given."""
    if len(data) > MOST_PICTURE:
        return None
    size = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) > 24:
        size = struct.unpack(">II", data[16:24])
    elif data.startswith(b"\xff\xd8\xff"):
        size = _jpeg_size(data)
    if size is None or not 0 < size[0] * size[1] <= MOST_PIXELS:
        return None
    return "image/png" if data[0] == 0x89 else "image/jpeg"


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first frame header (ITU T.81, B.2.2)."""
    at = 2
    for _ in range(1000):
        if at + 9 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
