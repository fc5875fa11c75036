"""Checks your homework before you hand it in, and packs it into submission.zip.

    python check.py                 all questions, and the zip
    python check.py vae             question 4 alone, without the zip (its number will do, too)

Nothing is trained and nothing is sent anywhere. A row with a cross says what you did and what was expected. The grader
checks more than this, with other numbers.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    print("This homework needs Python 3.11 or newer; this is Python {}.{}.".format(*sys.version_info))
    sys.exit(2)

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

try:
    from public_checks import answers, child, log, packing, pictures
    from public_checks.questions import QUESTIONS, named
except ImportError as error:
    print(f"The folder public_checks is missing beside check.py, or not whole ({error}). Take it from the zip again.")
    sys.exit(2)

CHECKED, NOT_CHECKABLE, OUR_FAULT = 0, 2, 3
READING_SECONDS, CHECK_SECONDS = 60, 60
"""How long the definitions of a file may take to read (with the imports), and one check."""
MARKS = {"ok": "\u2713", "wrong": "\u2717", "unfilled": "\u2717", "skipped": "?", "fault": "?", "note": "\u00b7"}
PLAIN = {"ok": "+", "wrong": "x", "unfilled": "x", "skipped": "?", "fault": "?", "note": "-"}
"""For terminals that cannot show the signs above."""


def main(words):
    parser = argparse.ArgumentParser(
        prog="python check.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 checked (the table says what is wrong), 2 there is nothing to check or the zip cannot "
        "be written, 3 a fault of check.py.",
    )  # fmt: skip
    ids = ", ".join(question.id for question in QUESTIONS)
    parser.add_argument("question", nargs="*", help=f"{ids}; or a number from 1 to 7")
    chosen = []
    for word in parser.parse_args(words).question:
        if named(word) is None:
            print(f"There is no question {word!r}. The questions are: {ids}.")
            return NOT_CHECKABLE
        chosen.append(named(word))
    begun = time.monotonic()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    found = packing.Found(FOLDER)
    if not found.graded:
        print(f"None of the homework's files is in {FOLDER}. Expected: check.py beside your notebooks, in the folder")
        print("that was handed out.")
        return NOT_CHECKABLE
    questions = [question for question in QUESTIONS if question in chosen] or list(QUESTIONS)
    with ThreadPoolExecutor(2 if (os.cpu_count() or 1) > 1 else 1) as pool:
        running = {question.id: pool.submit(run, question, found) for question in questions if question.code}
        rows = {}
        for question in questions:
            rows[question.id] = running[question.id].result() if question.code else []
            rows[question.id] += looked_at(question, found)
            show(question, rows[question.id])
    status = summary(rows, questions, found, begun)
    if chosen:
        print("To check all questions and to write submission.zip: python check.py")
        return status
    return pack(found, status)


# ------------------------------------------------------------------------------------------ the checks


def run(question, found):
    """The rows (state, title, lines) of a question's public checks, each made in a process of its own."""
    path = found.path(question.code) if question.code.endswith(".ipynb") else None
    if path is None and question.code.endswith(".py"):
        own = found.path(question.files[-3])  # utils.py and models/vae.py lie in one folder, gan.py in the same
        path = FOLDER / question.code
        if own is not None and not path.is_file():
            return [
                ("skipped", question.code, [f"{question.code} is missing, so nothing was run. Take it from the zip."])
            ]
        path = None if own is None else path
    if path is None:
        return []  # `looked_at` says what is missing
    outcomes, first = {}, 0
    while first < len(question.checks):
        known, begun, ended = in_a_process(question, path, first)
        outcomes |= known
        if ended == "":
            break
        if "fault" in ended:
            return [("fault", question.code, [f"check.py itself failed here: {ended['fault'].splitlines()[-1]}"])]
        at = max(begun, first)
        if begun == child.READING:
            said = f"{ended['said']} while the definitions of {path.name} were read: nothing could be checked."
            return [("wrong", path.name, [said])]
        outcomes[at] = ("wrong", [f"{ended['said']}. Expected: an answer within {CHECK_SECONDS} seconds."])
        first = at + 1
    rows = [(*outcomes.get(at, ("fault", ["no outcome"])), check.title) for at, check in enumerate(question.checks)]
    return joined([(state, title, lines) for state, lines, title in rows], question)


def in_a_process(question, path, first):
    """Runs the checks from number `first` on. Returns ({number: (state, lines)}, the one begun last, how it ended).

    How it ended is "" where all came to an end, else {"fault": a traceback} or {"said": a sentence's begin}.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "outcomes"
        out.touch()
        command = [
            sys.executable,
            str(Path(__file__).resolve()),
            "--child",
            question.id,
            str(path),
            str(out),
            str(first),
        ]
        quiet = {"MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1", "HW11_QUICK": "1", "PYTHONIOENCODING": "utf-8"}
        quiet["CUDA_VISIBLE_DEVICES"] = "-1"  # the checks compare with numbers of the CPU
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet}, cwd=path.parent,
        )  # fmt: skip
        try:
            size, since = 0, time.monotonic()
            while True:
                ended = process.poll() is not None
                records = [
                    json.loads(line) for line in out.read_text("utf-8").splitlines(keepends=True) if line[-1] == "\n"
                ]
                if len(records) != size:
                    size, since = len(records), time.monotonic()
                begun = next((one["begun"] for one in records[::-1] if "begun" in one), child.READING)
                known = {one["at"]: (one["state"], one["lines"]) for one in records if "at" in one}
                fault = next((one for one in records if "fault" in one), None)
                if fault or (records and "done" in records[-1]):
                    return known, begun, fault or ""
                if ended:
                    return known, begun, {"said": f"Python ended by itself (exit status {process.returncode})"}
                limit = READING_SECONDS if begun == child.READING else CHECK_SECONDS
                if time.monotonic() - since > limit:
                    return known, begun, {"said": f"Your code did not end within {limit} seconds"}
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()


def joined(rows, question):
    """The rows; where all functions of a kind are still to be written, one row for the function."""
    short, seen = [], {}
    for row, check in zip(rows, question.checks, strict=True):
        state, _, lines = row
        key = (check.written, state, tuple(lines))
        if state in ("unfilled", "skipped") and key in seen:
            continue
        seen[key] = True
        alike = sum(
            1
            for other, one in zip(rows, question.checks, strict=True)
            if (one.written, other[0], tuple(other[2])) == key
        )
        title = f"{check.written}: {alike} checks" if alike > 1 and state in ("unfilled", "skipped") else row[1]
        short.append((state, title, lines))
    return short


def looked_at(question, found):
    """The rows for files that are missing, for answers.toml, the log and the pictures of a question."""
    rows = []
    for name in question.files:
        if name.endswith((".ipynb", ".py")) and found.path(name) is None:
            other = FOLDER / f"{name.removesuffix('.ipynb')}.py" if name.endswith(".ipynb") else FOLDER
            more = f" There is {other.name}: save it as a notebook (.ipynb)." if other.is_file() else ""
            rows.append(("unfilled", name, [f"This file is missing.{more}"]))
        elif name.endswith(".png"):
            rows += pictures.look(found.path(name), question.id)
        elif name == "submission_log.json":
            rows += log.look(found.path(name) or FOLDER / name)
        elif name == "answers.toml":
            there = found.path("submission_log.json") if question.id == "summarization" else None
            rows += answers.look(
                found.path(name) or FOLDER / name, question.id, claims=log.claims(there) if there else None
            )
    return rows


# ------------------------------------------------------------------------------------------ the table


def sign(state):
    """The mark in front of a row, in the signs that the terminal has."""
    try:
        MARKS[state].encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN[state]
    return MARKS[state]


def show(question, rows):
    """Prints a question's table."""
    passed, judged = sum(row[0] == "ok" for row in rows), sum(row[0] != "note" for row in rows)
    kind = " (optional)" if question.optional else ""
    print(f"Question {question.number}: {question.title}{kind}   {passed} of {judged} well")
    width = max(40, min(100, shutil.get_terminal_size((100, 24)).columns))
    said = {}
    for state, title, lines in rows:
        print(f"{sign(state)}  {title}")
        first = said.setdefault(tuple(lines), title) if lines else title
        for line in lines if first == title else [f"The same as in: {first}"]:
            indent = " " * (3 + len(line) - len(line.lstrip()))
            print(textwrap.fill(line.strip(), width, initial_indent=indent, subsequent_indent=indent))
    print()


def summary(rows, questions, found, begun):
    """Prints what is still to do. Returns the exit status."""
    every = [(question, *row) for question in questions for row in rows[question.id]]
    optional = {question.id for question in questions if question.optional}
    missing = [(q, title.partition(":")[0]) for q, state, title, _ in every if state == "unfilled"]
    if needed := [f"question {q.number}: {title}" for q, title in missing if q.id not in optional]:
        print("What the grader would find missing:")
        print(*(f"   {one}" for one in dict.fromkeys(needed)), sep="\n")
    if more := [f"question {q.number}: {title}" for q, title in missing if q.id in optional]:
        print("Not done of the optional questions:")
        print(*(f"   {one}" for one in dict.fromkeys(more)), sep="\n")
    for note in found.notes:
        print(f"note: {note}")
    passed, wrong = (sum(row[1] == state for row in every) for state in ("ok", "wrong"))
    skipped = sum(row[1] in ("skipped", "fault") for row in every)
    counts = f"{passed} well, {wrong} wrong, {len(missing)} missing"
    counts += f", {skipped} could not be checked" if skipped else ""
    print(f"{counts}; {time.monotonic() - begun:.0f} s.")
    return OUR_FAULT if any(row[1] == "fault" for row in every) else CHECKED


def pack(found, status):
    """Writes the zip, and prints what is in it. Returns the exit status."""
    before = len(found.notes)
    try:
        files = packing.write(found)
    except OSError as error:
        print(f"{packing.ZIP} cannot be written: {error.strerror}. Is it open in another program?")
        return NOT_CHECKABLE
    for note in found.notes[before:]:
        print(f"note: {note}")
    print(f"\n{FOLDER / packing.ZIP} holds {len(files)} files (listed in it, too, in {packing.LIST}):")
    for name, size in files:
        print(f"   {size:>9,}  {name}")
    print("Hand this file in as it is.")
    return status


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child.main(*sys.argv[2:])
    sys.exit(main(sys.argv[1:]))
