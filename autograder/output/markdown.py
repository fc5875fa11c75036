"""Messages as Markdown, made of their parts so that nothing in them becomes anything but text or code.

Renderers differ: some make a link of a bare address, a formula of what stands between dollar signs. So a word that any
of them might make something of is set as code, where none does. In what is left each
character that has a meaning stands behind a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from autograder.message import Message
from autograder.text import clean

_QUOTED = re.compile(r"`([^`]+)`")
_GROUP = r"\((?:[^()]|\([^()]*\))*\)|\[[^][]*\]"
_NUMBER = r"[-+\d.,e\s]|inf|nan"
_ROWS = rf"\[(?:{_NUMBER}|\[(?:{_NUMBER})*\])*\]"
_NUMBERS = rf"\[(?:{_NUMBER}|{_ROWS})+\]"
_WORD = re.compile(rf"[\w./\\:@$=~%?&#^*+-]+(?:(?:{_GROUP})(?:\.\w+)*)*|{_NUMBERS}")
_ODD = re.compile(r"_|://|@|\$|==|\\|\bwww\.|[^\W\d_]\.\w*[^\W\d_]", re.IGNORECASE)
"""What makes a word code: names with underscores, files, addresses, and what some renderers read as formulas."""
_LATIN = re.compile(r"(?:e\.g|i\.e)\.?,?", re.IGNORECASE)
_ENDS = ".,:;?!"
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~#^|]")
_BEGINNING = re.compile(r"([-+=:]|\d+(?=[.)]))")


@dataclass(frozen=True)
class Piece:
    """A stretch of one line, and whether it is code."""

    text: str
    code: bool = False


def pieces(line: str) -> list[Piece]:
    """One line as text and code: what stands in backticks, and words that are names of something."""
    line = " ".join(line.split())
    found: list[Piece] = []
    at = 0
    for quoted in _QUOTED.finditer(line):
        found += _words(line[at : quoted.start()])
        found.append(Piece(quoted[1].strip(), True) if quoted[1].strip() else Piece(quoted[0].replace("`", "'")))
        at = quoted.end()
    found += _words(line[at:])
    joined: list[Piece] = []
    for piece in found:
        if joined and joined[-1].code == piece.code:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.code)
        elif piece.text:
            joined.append(piece)
    return joined


def _words(text: str) -> Iterator[Piece]:
    text, at = text.replace("`", "'"), 0
    for word in _WORD.finditer(text):
        end = word.end()
        while end > word.start() and text[end - 1] in _ENDS:
            end -= 1
        core = text[word.start() : end]
        if core and (core[0] == "[" or _ODD.search(core)) and not _LATIN.fullmatch(core):
            yield Piece(text[at : word.start()])
            yield Piece(core, True)
            at = end
    yield Piece(text[at:])


def inline(line: str, *, begins: bool = True) -> str:
    """One line of Markdown that shows this text. `begins`: it stands at the beginning of a paragraph."""
    shown = "".join(f"`{piece.text}`" if piece.code else _escaped(piece.text) for piece in pieces(line))
    return _BEGINNING.sub(_guarded, shown, count=1) if begins and _BEGINNING.match(shown) else shown


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _guarded(found: re.Match[str]) -> str:
    """A list's mark or a rule's, as text: "-" as "\\-", "1." as "1\\."."""
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def paragraphs(text: str) -> str:
    """Plain text of several lines: each is a paragraph of its own."""
    return "\n\n".join(inline(line) for line in text.splitlines() if line.strip())


def markdown(message: Message) -> str:
    """A message: a paragraph for each part, and the student's own lines as an indented block."""
    message = message.mapped(clean)
    blocks = [inline(message.seen)]
    if message.calls:
        blocks.append("\n".join(f"    {' '.join(call.line.split())}" for call in message.calls))
    for label, part in message.labelled:
        blocks.append(f"**{label.strip()}** {inline(part, begins=False)}" if label else inline(part))
    return "\n\n".join(filter(None, blocks))
