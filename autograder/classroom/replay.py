"""Writes a folder that repeats one check of one submission: its files, the very inputs, and a script for a debugger.

For office hours: the script calls the student's function outside of the sandbox, after a warning, and shows what came
back beside what was expected. The inputs are drawn anew from the seed that the grading kept; the reference's answers
come from the sandbox. The folder holds hidden inputs, so it is the staff's.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograder import homeworks
from autograder.classroom import publish, report
from autograder.classroom.kept import Kept, Store
from autograder.classroom.publish import DONE, Class
from autograder.classroom.report import SubmissionEntry
from autograder.core import (
    GIVEN,
    PACKAGES,
    WHOLE,
    Array,
    Check,
    CheckFailed,
    Question,
    Submission,
    Trial,
    Value,
    Values,
)
from autograder.sandbox import confine
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.text import clean

ROOT = Path(__file__).resolve().parents[2]
FILES, ABOUT, INPUTS, EXPECTED, SCRIPT = "files", "replay.json", "inputs.npz", "expected.npz", "replay.py"
SHOWN = 6
"""Entries of an array that are shown."""
WARNING = """This runs the code of a student on this machine, with your rights and without the sandbox.
Read it first, and continue only if you would run it as your own code."""


def run(out: Path, student: str, check: str, to: Path | None, homework: str = "") -> int:
    """Writes the folder. Returns 0, or 2 with a sentence that says what is missing."""
    return publish.status(lambda: _run(out, student, check, to, homework), to or out)


def _run(out: Path, student: str, check: str, to: Path | None, homework: str) -> int:
    opened = publish.opened(out, homework)
    question, found = _check(opened, check)
    entry = _entry(opened, student)
    held = Store(out).load(entry.id)
    if held is None:
        raise CheckFailed(
            f"The files of {entry.id} were not kept: an earlier version graded it, or they could not be read. Grade "
            "it again (`class ... --again`)."
        )
    number = next(number for number, one in question.numbered if one.id == found.id)
    folder = to or Path(f"replay-{entry.id}-{number}")
    if folder.exists() and any(folder.iterdir()):
        raise CheckFailed(f"{folder} exists already and may hold your changes. Give another folder with --to.")
    _write(folder, opened, entry, held, question, found, number)
    script = shlex.quote(str(folder / SCRIPT))
    print(
        f"{folder} holds {entry.id}'s files, the inputs of {number} {found.name}, and {SCRIPT}.\n"
        f"  {shlex.quote(sys.executable)} {script}            what came back, and what was expected\n"
        f"  {shlex.quote(sys.executable)} -m pdb {script}     the same, step by step\n"
        "It runs the student's code outside the sandbox and holds hidden inputs. Share it with the staff only."
    )
    return DONE


def _check(opened: Class, name: str) -> tuple[Question, Check]:
    places = [
        (question, number, check) for question in opened.assignment.questions for number, check in question.numbered
    ]
    for question, number, check in places:
        if name in (number, check.id):
            return question, check
    raise CheckFailed(f"There is no check {clean(name, limit=80, line=True)}. The checks are {places[0][1]} to "
                 f"{places[-1][1]}, "
        "as in the report. You can also give a check's id.")  # fmt: skip


def _entry(opened: Class, name: str) -> SubmissionEntry:
    """The submission of this id, or of the one student with this name, e-mail or id, or a part of it."""
    with opened.book.open() as book:
        entries = report.entries(book, opened.assignment)
    exact = [entry for entry in entries if entry.id == name]
    if exact:
        return exact[0]
    keys = ("name", "email", "sid")
    sought = name.strip().casefold()
    same = [
        entry for entry in entries if any(sought == str(one[key]).casefold() for one in entry.students for key in keys)
    ]
    found = same or [entry for entry in entries if sought and sought in entry.sought]
    if len(found) == 1:
        return found[0]
    told = clean(name, limit=80, line=True)
    if not found:
        raise CheckFailed(
            f"No student in {opened.out} matches {told}. Give an id from the report, a name or an e-mail."
        )
    some = ", ".join(f"{entry.id} ({entry.names})" if entry.names else entry.id for entry in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    raise CheckFailed(f"{told} can be {some}{more}. Give the id.")


def _write(
    folder: Path, opened: Class, entry: SubmissionEntry, held: Kept, question: Question, check: Check, number: str
) -> None:
    seeds, rung = held.seeds.get(check.request.name), held.rungs.get(check.id, 0)
    if seeds is None:
        raise CheckFailed(f"{number} {check.name} sent no request to {entry.id}, so there is nothing to repeat.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _place(folder / FILES, opened, held)
    verdict = entry.verdicts.get(check.id)
    about: dict[str, Any] = {
        "homework": opened.homework,
        "check": check.id,
        "submission": entry.id,
        "absent": list(held.absent),
        "rung": rung,
        "seed": str(seeds[0]),
        "said": verdict["message"] if verdict is not None else "",
        "points": [verdict["score"], verdict["points"]] if verdict is not None else [None, None],
    }
    if check.request.collector or rung >= WHOLE:
        notebook = next((file for file in question.files if file.endswith(".ipynb")), "the notebook")
        text = NOTEBOOK
        fields = {"notebook": notebook}
    else:
        given = check.request.inputs(np.random.Generator(np.random.Philox(seeds[0])))
        about["inputs"] = _stored(given, folder / INPUTS)
        if check.request.reference:
            about["expected"] = _stored(_expected(opened, check, given, seeds[0]), folder / EXPECTED)
        probe, _, function = check.request.probe.partition(":")
        package, _, module = f"{opened.assignment.probes}.{probe}".rpartition(".")
        text = CALL
        fields = {"import": _import(opened.homework, package, module), "function": function}
        fields["given"] = "outside.tensors(given)" if check.request.arrays == "torch" else "given"
    (folder / ABOUT).write_text(json.dumps(about, indent=1))
    told = {
        "number": number,
        "name": _literal(check.name),
        "submission": _literal(entry.id),
        "root": repr(str(ROOT)),
        "absent": repr(tuple(held.absent)),
        "rung": str(rung),
        "file": _literal(next((file for file in question.files if file.endswith(".py")), "answer.py")),
    }
    for name, value in (told | fields).items():
        text = text.replace(f"<{name}>", value)
    (folder / SCRIPT).write_text(text)


def _import(homework: str, package: str, module: str) -> str:
    """The lines that import the probe; they say where the homework is, if it does not lie beside the autograder."""
    name, above = homeworks.place(homework)
    if not above:
        return f"from {package} import {module} as probe"
    lines = (
        "import importlib\n",
        "from autograder import homeworks\n",
        f"homeworks.find_in({name!r}, {above!r})",
        f'probe = importlib.import_module("{package}.{module}")',
    )
    return "\n".join(lines)


def _literal(text: str) -> str:
    """As a docstring may hold it."""
    return clean(text, limit=200, line=True).replace("\\", "/").replace('"', "'")


def _place(workspace: Path, opened: Class, held: Kept) -> None:
    """The submission's files in the homework's layout, with those of the template that it had none of."""
    template = opened.assignment.template
    spare = {
        path.relative_to(template).as_posix(): path.read_bytes()
        for path in template.rglob("*.py")
        if "__pycache__" not in path.parts
    }
    given = {f"{GIVEN}/{name}": spare[name] for name in opened.assignment.graded if name in spare}
    told = {PACKAGES: "".join(f"{name}\n" for name in held.packages).encode()} if held.packages else {}
    for name, data in {**spare, **given, **told, **held.files}.items():
        path = workspace / name
        if not path.resolve().is_relative_to(workspace.resolve()):
            raise CheckFailed(f"{clean(name, limit=80, line=True)} leads out of the folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _expected(opened: Class, check: Check, given: Values, seed: int) -> Values:
    """What the reference answers to the same inputs, from the sandbox as in a grading."""
    confine.shield()
    with Sandbox(SandboxConfig(opened.assignment.probes)) as sandbox:
        reference = Submission(opened.assignment.reference, "reference", ours=True)
        right = sandbox.ask(
            reference, check.request, given, seed=seed % 2**63, seconds=max(60.0, check.request.seconds)
        )
    if right.values is None:
        raise CheckFailed(f"The reference returned no result for these inputs: {right.error}")
    return right.values


# -------------------------------------------------------------------------------------------- values


def _stored(values: Values, path: Path) -> dict[str, Value]:
    """Writes the arrays to `path`; returns what is none."""
    np.savez(path, **{name: value for name, value in values.items() if isinstance(value, np.ndarray)})  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}


def _loaded(plain: Mapping[str, Value], path: Path) -> dict[str, Value]:
    with np.load(path, allow_pickle=False) as arrays:
        return {**plain, **{name: arrays[name] for name in arrays.files}}


@dataclass(frozen=True)
class Replay:
    """What the script of a folder needs: the inputs that the check drew, what was expected, and the judge."""

    folder: Path
    about: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Replay:
        return cls(folder, json.loads((folder / ABOUT).read_text()))

    def ask_first(self) -> None:
        """Warns, and goes on only if somebody says so; `--yes` says so."""
        print(WARNING, file=sys.stderr)
        if "--yes" not in sys.argv[1:] and input("Run it? [y/N] ").strip().lower() not in ("y", "yes"):
            sys.exit("Nothing was run.")

    @property
    def seed(self) -> int:
        """What the student's code draws its noise from, as in the grading."""
        return int(self.about["seed"]) % 2**63

    def given(self) -> dict[str, Value]:
        """The inputs of the check."""
        return _loaded(self.about["inputs"], self.folder / INPUTS)

    def expected(self) -> dict[str, Value]:
        """The reference's answer to them, empty where the judge computes for itself what is expected."""
        if "expected" not in self.about:
            return {}
        return _loaded(self.about["expected"], self.folder / EXPECTED)

    def show(self, got: Mapping[str, Value]) -> None:
        """Prints what came back beside what was expected, and what the judge says of it now and said then."""
        given, want = self.given(), self.expected()
        for title, values in (("given", given), ("came back", got), ("expected", want)):
            print(f"\n{title}:")
            for name, value in values.items():
                print(f"  {name} = {_shown(value)}")
            if not values and values is want:
                print("  nothing to print: the judge compares with an identity that it computes itself")
        for name in sorted(want.keys() & got.keys()):
            print(f"  {name}: {_difference(got[name], want[name])}")
        print(f"\nthe judge says: {self._verdict(given, got, want)}")
        points = "{} of {} points".format(*self.about["points"])
        print(f"earlier result: {points}. {self.about['said']}")

    def _verdict(self, given: Values, got: Values, want: Values) -> str:
        assignment = homeworks.load(self.about["homework"])
        checks = {check.id: check for question in assignment.questions for check in question.checks}
        check: Check = checks[self.about["check"]]
        if check.request.baseline_cpu:
            return "nothing here: it compares times that were measured in the sandbox"
        try:
            verdict = check.judge(Trial(given, got, want))
        except CheckFailed as fault:
            return f"0 of {check.points:g} points. {fault}"
        return f"{verdict.score * check.points:g} of {check.points:g} points. {verdict.message}"


def _shown(value: Value) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    first = ", ".join(f"{one:.6g}" if value.dtype.kind == "f" else str(one) for one in value.flat[:SHOWN])
    return f"{value.dtype} {list(value.shape)}: {first}{', ...' if value.size > SHOWN else ''}"


def _difference(got: Value, want: Value) -> str:
    """How far they are apart, in words."""
    if np.shape(got) != np.shape(want):
        return f"shape {np.shape(got)}, expected {np.shape(want)}"
    try:
        one, other = np.asarray(got, float), np.asarray(want, float)
    except (TypeError, ValueError):
        return "as expected" if got == want else "not as expected"
    apart: Array = np.abs(one - other)
    if not apart.size:
        return "both empty"
    if np.isnan(apart).all():
        return "no number on one side"
    place = tuple(int(at) for at in np.unravel_index(int(np.nanargmax(apart)), apart.shape))
    where = f" at {list(place)}" if place else ""
    told = f"{float(one[place]):.6g}, expected {float(other[place]):.6g}"
    return f"largest difference {float(apart[place]):.6g}{where}: {told}"


HEAD = '''"""Repeats <number> <name> of <submission>, outside of the sandbox.

    python replay.py            asks first; with --yes it does not
    python -m pdb replay.py     step by step; `b files/<file>:12` stops at line 12 of that file

This folder holds hidden inputs. Share it with the staff only.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, <root>)  # the autograder
'''
CALL = (
    HEAD
    + """
<import>  # calls the student's function
from autograder.classroom.replay import Replay
from autograder.sandbox.guest import outside

replay = Replay.of(HERE)
replay.ask_first()
os.chdir(HERE / "files")

given = replay.given()
student = outside.student(HERE / "files", absent=<absent>, rung=<rung>, seed=replay.seed)
got = probe.<function>(<given>, student)  # step into this: it leads to the student's function
replay.show(outside.plain(got))
"""
)
NOTEBOOK = (
    HEAD
    + """
from autograder.classroom.replay import Replay

replay = Replay.of(HERE)
print("This check runs all cells of a notebook and looks at the result.")
print("Open it in Jupyter, read it, restart the kernel, and run all cells:", HERE / "files" / "<notebook>")
print("Earlier result:", replay.about["said"])
"""
)
