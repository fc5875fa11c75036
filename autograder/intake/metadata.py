"""Who handed in what, from an export's submission_metadata.yml or .json: plain text, read event by event within limits.

Of the file nothing is built but text, lists and mappings: tags name no type here, so that Ruby's objects are read as
what is written in them. Only what is asked for is kept. A fault is told in one sentence with its line.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from autograder.core import CheckFailed

NAMES = ("submission_metadata.yml", "submission_metadata.yaml", "submission_metadata.json")
MAX_BYTES = 64 * 1024**2
MAX_JSON = 8 * 1024**2
"""Of a JSON file, which is read as a whole: the worst that fits takes 200 MB of memory."""
MAX_DEPTH = 64
MAX_NODES = 5_000_000
"""Values in the file: a thousand submissions, each with five earlier ones and a thousand values in each of those."""
MAX_TEXT = 300
"""Characters of a name, an id or a time."""
JOINERS = "\u200c\u200d"
"""Persian, Hindi and emoji need these; what else is invisible is taken out of names."""
WANTED = frozenset(("submitters", "created_at"))
NULL = frozenset(("", "~", "null", "Null", "NULL"))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class RosterStudent:
    """As the course's roster has them; each field may be empty."""

    name: str = ""
    sid: str = ""
    email: str = ""


@dataclass(frozen=True)
class ExportEntry:
    """A submission: its folder in the export as the list has it, who handed it in, and when.

    Nothing is left out: a folder may stand in the list twice, and be no name that a folder can have.
    """

    folder: str
    students: tuple[RosterStudent, ...]
    created_at: str


def read(data: bytes, name: str = NAMES[0]) -> list[ExportEntry]:
    """The submissions that the file called `name` lists.

    Raises `CheckFailed` where it cannot be read, and nothing else.
    """
    if len(data) > MAX_BYTES:
        raise CheckFailed(f"{name} is larger than {MAX_BYTES // 1024**2} MB.")
    pairs = _json(data, name) if name.endswith(".json") else _Reader(name).read(_text(data))
    if pairs is None:
        raise CheckFailed(f"{name} does not map folders to submitters.")
    found = []
    for folder, value in pairs:
        if not isinstance(folder, str) and not isinstance(value, dict):
            continue  # a key that is no text, and nobody behind it
        fields = _fields(value)
        submitters = fields.get("submitters")
        students = tuple(map(_student, submitters)) if isinstance(submitters, list) else ()
        called = folder if isinstance(folder, str) else shown(folder)
        called = called.encode("utf-8", "replace").decode()  # JSON may tell half a character
        found.append(ExportEntry(called, students, shown(fields.get("created_at"))))
    return found


def shown(value: Any) -> str:
    """A value as one line of text. Of a list or a mapping, as Ruby writes its objects, what it holds itself."""
    if isinstance(value, dict):
        own = [one for key in ("time", "utc") if isinstance(one := value.get(key), str)][:1]
        value = own or list(value.values())
    if isinstance(value, list):
        value = " ".join(one for one in value[:MAX_TEXT] if isinstance(one, str))
    text = value if isinstance(value, str) else ""
    kept = "".join(map(_visible, text[: 4 * MAX_TEXT]))
    return " ".join(kept.split())[:MAX_TEXT]


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    return "" if category == "Cs" or (category == "Cf" and character not in JOINERS) else character


def _fields(value: Any) -> Mapping[str, Any]:
    """A mapping's fields without the colons of Ruby's symbols: `:sid:`."""
    return {key.strip(":"): one for key, one in value.items()} if isinstance(value, dict) else {}


def _student(value: Any) -> RosterStudent:
    fields = _fields(value)
    return RosterStudent(*(shown(fields.get(key)) for key in ("name", "sid", "email")))


# ------------------------------------------------------------------------------------------------ JSON


Pairs = list[tuple[Any, Any]]
"""The keys and values of the file's one mapping, a key that stands there twice with both values."""


def _json(data: bytes, name: str) -> Pairs | None:
    if len(data) > MAX_JSON:
        raise CheckFailed(f"{name} is larger than {MAX_JSON // 1024**2} MB.")
    last: Pairs = []

    def read(pairs: Pairs) -> dict[Any, Any]:
        nonlocal last
        last = pairs  # the outermost mapping is complete last
        return dict(pairs)

    try:
        tree = json.loads(
            _text(data), parse_int=str, parse_float=str, parse_constant=str, strict=False, object_pairs_hook=read
        )
        return last if isinstance(tree, dict) else None
    except json.JSONDecodeError as error:
        raise CheckFailed(f"{name}, line {error.lineno}, is not valid JSON.") from None
    except RecursionError:
        raise CheckFailed(f"{name} is nested too deeply.") from None


# ------------------------------------------------------------------------------------------------ YAML


def _text(data: bytes) -> str:
    """The file's characters. What is none stands as U+FFFD, what YAML does not allow in a file as a space."""
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if utf_16 else "utf-8-sig", "replace")
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]", " ", text)


@dataclass
class _Frame:
    """A list or mapping that is being read; `key` is the mapping's next one. `kept`: whether its values are."""

    value: dict[str, Any] | list[Any]
    kept: bool
    key: Any = None
    has_key: bool = False
    anchor: str | None = None


@dataclass
class _Reader:
    """Builds the tree of a file's first document from libyaml's events, without recursion."""

    name: str
    pairs: Pairs = field(default_factory=list)
    anchors: dict[str, Any] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    tree: Any = None

    def read(self, text: str) -> Pairs | None:
        line = 0
        try:
            for count, event in enumerate(yaml.parse(text, Loader=LOADER)):
                line = event.start_mark.line
                if count > MAX_NODES:
                    raise self.fault(
                        line, f"begins the part after the first {MAX_NODES} values, but no more values are read"
                    )
                if isinstance(event, yaml.DocumentEndEvent):
                    break
                self.take(event, line)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            last = len(text.splitlines()) - 1  # libyaml puts what is missing at the end on a line behind it
            raise self.fault(max(0, min(mark.line if mark else line, last)), "is not valid YAML") from None
        except (yaml.YAMLError, ValueError, RecursionError):
            raise self.fault(line, "is not valid YAML") from None
        return self.pairs if isinstance(self.tree, dict) else None

    def fault(self, line: int, what: str) -> CheckFailed:
        return CheckFailed(f"{self.name}, line {line + 1}, {what}.")

    def take(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.ScalarEvent():
                value = _scalar(event)
                if event.anchor is not None:
                    self.anchors[event.anchor] = value
                self.put(value)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise self.fault(line, "refers to an anchor that is not defined before it")
                self.put(self.anchors[event.anchor])
            case yaml.CollectionStartEvent():
                if len(self.stack) >= MAX_DEPTH:
                    raise self.fault(line, f"is nested more than {MAX_DEPTH} levels deep")
                made: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
                kept = event.anchor is not None or self.keeps()
                if event.anchor is not None:
                    self.anchors[event.anchor] = made
                self.stack.append(_Frame(made, kept))
            case yaml.CollectionEndEvent():
                self.put(self.stack.pop().value)
            case _:
                pass

    def keeps(self) -> bool:
        """Whether the value that comes next is kept: of a submission only the fields that are asked for."""
        if not self.stack:
            return True
        frame = self.stack[-1]
        if len(self.stack) == 2 and frame.has_key:
            return frame.kept and isinstance(frame.key, str) and frame.key.strip(":") in WANTED
        return frame.kept

    def put(self, value: Any) -> None:
        """Puts a value that is complete to where it belongs."""
        if not self.stack:
            self.tree = value
            return
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            if frame.kept:
                frame.value.append(value)
        elif not frame.has_key:
            frame.key, frame.has_key = value, True
        else:
            if len(self.stack) == 1:
                self.pairs.append((frame.key, value))
            elif self.keeps() and isinstance(frame.key, str):  # a key that is no text names nothing here
                frame.value[frame.key] = value
            frame.key, frame.has_key = None, False


def _scalar(event: yaml.ScalarEvent) -> str:
    """A scalar's text, whatever type its tag claims: an id keeps its zeros. Only !binary, base64, is unpacked."""
    text: str = event.value
    if event.tag in ("!binary", "tag:yaml.org,2002:binary"):
        try:
            return base64.b64decode(text.encode(), validate=False).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return text
    plain = not event.style and event.tag in (None, "tag:yaml.org,2002:null")
    return "" if plain and text in NULL else text
