"""Probe of answers.toml: reads the file within limits, once for all questions, and says what it holds.

The file is a stranger's, and no code of the student's runs here: all that is read is reported as values, what is odd by
its kind. Nothing is compared with anything expected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.hw11.log import probes as log
from autograder.sandbox.guest.contents import Contents, Missing
from autograder.sandbox.parts import pack

FILE = "answers.toml"
MAX_BYTES = 64 * 1024
MAX_LEVELS = 8
"""Of nesting anywhere in the file, which has three."""
MAX_FIELDS, MAX_NUMBERS, MAX_TEXTS, MAX_TEXT = 12, 1000, 30, 50
"""Of a distribution, and of a list in it: the frame to the judge holds 1024 values."""
MAX_CHARACTERS = 4000
"""Of a written answer."""
MAX_INTEGER = 10**40
TYPED = str.maketrans("\u201c\u201d\u201e\u2018\u2019\u00a0\u2212", '"""\'\' -')
"""What word processors make of quotation marks, spaces and minus signs."""
ROUGE = ("rouge1", "rouge2", "rougeL")
FIELDS = {
    "summarization": (
        *(f"{model}_{name}" for model in ("scratch", "finetuned") for name in ROUGE),
        *("t5_optimizer", "t5_peak_lr_pretraining", "t5_peak_lr_finetuning"),
        *("llm_model", "llm_prompt", "llm_output", "llm_comparison"),
    ),
    "continual_learning": ("lambdas", "observations", "mlp", "rehearsal"),
    "vae": ("nelbo", "kl", "rec"),
    "gan": ("vanishing", "optimal_discriminator", "divergence"),
    "policy_gradient": ("final_accuracy", "comparison"),
    "process": ("sources", "collaborators", "hours"),
}
"""The sections' fields, without question 2's, whose fields are the student's choice."""


def answers(_given: Mapping[str, Any], student: Contents) -> dict[str, Any]:
    """What answers.toml holds (see `held`), and `log.*`: the ROUGE figures that submission_log.json claims."""
    seen = held(student)
    if seen["file.kind"] == "absent":
        raise Missing(f"{FILE} is not in the upload")
    return {**seen, **{f"log.{key}": value for key, value in _logged(student).items()}}


def held(student: Contents) -> dict[str, Any]:
    """What the file holds: `file.*` (its form), and each section's fields, such as `vae.kl`.

    `file.kind` is "" where the file is TOML, else what keeps it from being that, and then nothing else is told. A
    field is a text or a number as it is written, in UTF-8, (n,) uint8, since the frame's header is small; a list is its
    entries with commas between; `.length` is there where a text was longer than what is told, `.odd` alone where the
    field is none of these. Of question 2 `seed`, `plot_A` and `plot_B` are told, and of `P` and `Q` each field:
    of its `fields` the `key` with its `value` (a number, numbers (n,) or a text), or its `items` where a list holds
    texts, its `names` where it is a table, `odd` where it is none of these.
    """
    path = student.workspace / FILE
    if FILE in student.absent or not path.is_file():
        return {"file.kind": "absent"}
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return {"file.kind": "large", "file.limit": MAX_BYTES // 1024}
    text = log.decoded(data)[0].replace("\r\n", "\n").replace("\r", "\n")
    tree = parsed(text)
    if tree.get("kind"):
        tree = parsed(text.translate(TYPED))
    if tree.get("kind") == "syntax":
        tree = mended(text.translate(TYPED)) or tree
    if tree.get("kind"):
        return {f"file.{name}": value for name, value in tree.items()}
    return {"file.kind": "", **_sections(tree["tree"])}


def _sections(tree: dict[str, Any]) -> dict[str, Any]:
    """All sections' fields. What stands at the top of the file counts for any of them."""
    seen: dict[str, Any] = {}
    for section, names in FIELDS.items():
        there = [*_flat(_found(tree, section)), *((_alike(key), value) for key, value in tree.items())]
        for name in names:
            values = [value for key, value in there if key == _alike(name)]
            value = next((one for one in values if one not in ("", [])), values[0] if values else None)
            seen |= {f"{section}.{key}": one for key, one in _written(name, value).items()}
    places = [found for found in (_found(tree, "distributions"), tree) if isinstance(found, dict)]
    for name in ("seed", "plot_A", "plot_B"):
        seen |= {f"distributions.{key}": value for key, value in _plain(name, _first(places, name)).items()}
    for name in "PQ":
        seen |= {f"distributions.{name}.{k}": value for k, value in _distribution(_first(places, name)).items()}
    return seen


class TomlFloat(float):
    """A TOML float that still knows how it was written: 102.30 has two decimals."""

    def __init__(self, text: str) -> None:
        self.text = text


def parsed(text: str) -> dict[str, Any]:
    """`tree`, or `kind` and `line` of what keeps this text from being TOML."""
    try:
        tree = tomllib.loads(text, parse_float=TomlFloat)
    except (RecursionError, MemoryError):  # a key of 30,000 dotted parts takes gigabytes
        return {"kind": "deep"}
    except ValueError as error:  # TOMLDecodeError, and a number of more digits than Python converts
        line = re.search(r"\(at line (\d+), column \d+\)$", str(error))
        return {"kind": "syntax", "line": int(line[1]) if line else len(text.splitlines())}
    level: list[Any] = [tree]
    for _ in range(MAX_LEVELS):
        level = [
            below
            for one in level
            if isinstance(one, list | dict)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return {"kind": "deep"} if level else {"tree": tree}


@dataclass(frozen=True)
class Broken:
    """A line that is no TOML, in place of the value of its key."""

    line: int
    text: str

    def __str__(self) -> str:
        return _short(f"line {self.line}: {self.text}")


MAX_MENDED = 100
"""Lines that are left out at most: each costs a reading of what is left."""
KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*=""")
HEADER = re.compile(r"\s*\[+\s*([\w.]+)")


def mended(text: str) -> dict[str, Any]:
    """`tree` of a text some of whose lines are no TOML: such a line costs its own key alone.

    {} where that fails, or nothing that is asked for is left.
    """
    lines = text.split("\n")
    left_out: dict[int, str] = {}
    twice: set[int] = set()
    for _ in range(MAX_MENDED):
        found = parsed("\n".join(lines))
        if found.get("kind") != "syntax":
            break
        at = _at_fault(lines, min(found["line"], len(lines)) - 1)
        if at is None:
            return {}
        line, lines[at] = lines[at], ""
        if not parsed(line.strip()).get("kind") and KEY.match(line):
            twice.add(at)
        header = HEADER.match(line)
        if header and parsed(repaired := f"[{header[1]}]").get("kind") is None and line.strip() != repaired:
            lines[at] = repaired  # or what follows would count for the section before
        else:
            left_out[at] = line
    tree = found.get("tree")
    if tree is None or not any(_found(tree, section) for section in (*FIELDS, "distributions")):
        return {}
    for at, line in left_out.items():
        _put(tree, _section_of(lines, at), line, at + 1, instead=at in twice)
    return {"tree": tree}


def _at_fault(lines: Sequence[str], at: int) -> int | None:
    """The line to leave out where reading stopped at this one: itself, or the one above that was left open."""
    for place in range(at, -1, -1):
        line = lines[place].strip()
        if line and not line.startswith("#") and (place == at or KEY.match(line)):
            alone = parsed(line)
            if alone.get("kind") or (place == at and KEY.match(line) and _is_twice(lines, place)):
                return place
    return at if lines[at].strip() else None


def _is_twice(lines: Sequence[str], at: int) -> bool:
    """Whether the key of this line, which is TOML by itself, stands in its section already."""
    return not parsed("\n".join(lines[:at])).get("kind") and bool(parsed("\n".join(lines[: at + 1])).get("kind"))


def _section_of(lines: Sequence[str], at: int) -> list[str]:
    headers = (HEADER.match(lines[place]) for place in range(at, -1, -1))
    return next((found[1].split(".") for found in headers if found), [])


def _put(tree: dict[str, Any], section: Sequence[str], line: str, number: int, *, instead: bool) -> None:
    """Has a line that was left out stand for its key, where nothing else does or `instead` of that."""
    key = KEY.match(line)
    if key is None:
        return
    for name in section:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return
        tree = below
    name = next(filter(None, key.groups()), "")
    if instead or name not in tree:
        tree[name] = Broken(number, line.strip())


def _alike(name: str) -> str:
    """A key without case and signs: plot_A, plotA and "plot a" are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _found(tree: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in tree.items() if _alike(key) == _alike(name)), None)


def _first(places: list[dict[str, Any]], name: str) -> Any:
    """What stands below this name in [distributions], or at the top of the file."""
    return next((found for place in places if (found := _found(place, name)) is not None), None)


def kind_of(value: Any) -> str:
    """TOML's word for a value's type; the line of what is no TOML."""
    if isinstance(value, Broken):
        return str(value)
    names = {dict: "a table", list: "a list", str: "a text", bool: "true or false"}
    number = "a number" if isinstance(value, int | float) else "a date or a time"
    return names.get(type(value), number)


# --------------------------------------------------------------------------------------- written answers


def _flat(table: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a section, those of tables inside it by their joined names: scratch.rouge1 is scratch_rouge1."""
    for key, value in table.items() if isinstance(table, dict) else ():
        yield above + _alike(key), value
        yield from _flat(value, above + _alike(key))


def _written(name: str, value: Any) -> dict[str, Any]:
    """A field as UTF-8, `name.length` where it was cut, `name.odd` where it is no text, number or list of these."""
    if value is None:
        return {}
    parts = [_as_text(one) for one in (value if isinstance(value, list) else [value])]
    if None in parts:
        large = type(value) is int and abs(value) >= MAX_INTEGER
        return {f"{name}.odd": "a number that is too large" if large else kind_of(value)}
    text = ", ".join(map(str, parts))
    told = {name: np.frombuffer(text[:MAX_CHARACTERS].encode("utf-8", "replace"), np.uint8)}
    return told if len(text) <= MAX_CHARACTERS else {**told, f"{name}.length": len(text)}


def _as_text(value: Any) -> str | None:
    if isinstance(value, str | TomlFloat):
        return value if isinstance(value, str) else value.text
    return str(value) if type(value) is int and abs(value) < MAX_INTEGER else None


# ----------------------------------------------------------------------------------------- distributions


def _short(text: str) -> str:
    """A text as it may be told: the frame's header is small."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _plain(name: str, value: Any) -> dict[str, Any]:
    """A seed as its digits, a plot as its text; absent where it is absent, `name.odd` where it is something else."""
    if value is None:
        return {}
    if name == "seed":
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,18}\s*", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is int and abs(value) < MAX_INTEGER:
            return {"seed": str(value)}
        return {"seed.odd": "a number that is too large" if type(value) is int else kind_of(value)}
    return {name: _short(value)} if isinstance(value, str) else {f"{name}.odd": kind_of(value)}


def _distribution(table: Any) -> dict[str, Any]:
    """The fields of P or Q; `kind` is "" of a table, "missing", or what stands in its place."""
    if table is None:
        return {"kind": "missing"}
    if not isinstance(table, dict):
        return {"kind": kind_of(table)}
    fields = list(table.items())[:MAX_FIELDS]
    return pack(kind="", fields=[_field(key, value) for key, value in fields])


def _field(key: str, value: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"key": _short(key)}
    if isinstance(value, str):
        return {**told, "value": _short(value)}
    if _is_number(value):
        return {**told, "value": np.array(_float(value))}
    if isinstance(value, dict) and all(map(_is_number, value.values())) and 0 < len(value) <= MAX_TEXTS:
        names = [_short(name) for name in value]
        return {**told, "value": np.array([_float(one) for one in value.values()]), "names": names}
    if isinstance(value, list) and all(map(_is_number, value)) and len(value) <= MAX_NUMBERS:
        return {**told, "value": np.array([_float(one) for one in value], float)}
    texts = isinstance(value, list) and all(_is_number(one) or isinstance(one, str) for one in value)
    if texts and len(value) <= MAX_TEXTS:
        return {**told, "items": [_short(one) if isinstance(one, str) else _float(one) for one in value]}
    size = f" of {len(value)} entries" if isinstance(value, list | dict) and len(value) > MAX_TEXTS else ""
    return {**told, "odd": kind_of(value) + size}


def _is_number(value: Any) -> bool:
    return type(value) in (int, TomlFloat)


def _float(value: float) -> float:
    """A number as a float; integers beyond a float's range are infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


# ---------------------------------------------------------------------------------------------- the log


def _logged(student: Contents) -> dict[str, Any]:
    """The log's `kind`, "" where it is a JSON object, else "absent" or "unreadable"; and its claims, by log.rouge."""
    path = student.workspace / log.FILE
    if log.FILE in student.absent or not path.is_file():
        return {"kind": "absent"}
    with path.open("rb") as file:
        data = file.read(log.MAX_BYTES + 1)
    found = log.parsed(log.decoded(data)[0]) if len(data) <= log.MAX_BYTES else {}
    if isinstance(found, dict):
        return {"kind": "unreadable"}
    claims = {key: found.tree[key] for key in (f"{model}.rouge" for model in log.MODELS) if key in found.tree}
    return {"kind": "", **log.rouge(claims)}  # without the texts nothing is recomputed
