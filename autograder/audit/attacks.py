"""Attacks: hostile submissions at four levels of protection; what each got, what is promised, what the canary says."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import homework
from autograder.audit.homework import KINDS, Attack, Attacks
from autograder.audit.journal import Journal
from autograder.audit.levels import FOUR, LEVELS, TITLES, Level, cannot, ended, start
from autograder.audit.section import AuditPart, Promise, SectionForm, Table, TableForm, Tell, first, nobody
from autograder.core import Assignment
from autograder.sandbox.host import canary
from autograder.text import many

RUNS = "autograder.audit.attack_runs"
"""The module that a process at a level calls."""
UNHARMED = ("memory", "environment")
"""Of the judge these cannot be read even where the canary says that it is open: it may be signalled, no more."""

# -------------------------------------------------------------------------------------- what is promised


def broken(
    given: Attacks, attack: Attack, level: Level, seen: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The promises that this attack broke at this level, as sentences; `rows` holds the controls' rows.

    Where the aspect that it needs is OPEN there, it may do what it tries, and its own submission may suffer of it;
    more points than its answers deserve it may never get, and nothing may be left of it but files.
    """
    at_large = bool(attack.aspect) and not level.blocked[attack.aspect]
    faults = [*seen["shown"], *(f"{check}: {status}" for check, status in seen["statuses"].items())]
    faults += [
        f"its target {target} does not exist" for target in attack.targets if target not in seen.get("found", ())
    ]
    if attack.refused != seen["refused"]:
        faults.append("the upload was refused" if seen["refused"] else "the upload was not refused")
    full = rows[given.right.id]["scores"]
    for group, control in () if seen["refused"] else given.wrong.items():
        scores = {check: score for check, score in seen["scores"].items() if check.startswith(group)}
        wrong, allowed = rows[control.id]["scores"], attack.allowed.get(group, "full")
        for check, score in scores.items():
            most = {"none": 0.0, "wrong": wrong.get(check, 0.0)}.get(allowed, full.get(check, score))
            most = 0.0 if check == attack.loses else most
            if score > most:
                faults.append(f"{check} gave {score:g} points of at most {most:g}")
            if allowed == "full" and score < most and not at_large:
                faults.append(f"{check} gave {score:g} points of {most:g} deserved")
    if any(score for check, score in seen["scores"].items() if not check.startswith(tuple(given.wrong))):
        faults.append("a broken file of another question gave points")
    if seen["worked"] and not at_large:
        faults.append("it did what it tried")
    if attack.says and not at_large and not any(attack.says in message for message in seen["messages"]):
        faults.append(f"no message says {attack.says!r}, but {seen['messages'][:2]}")
    if not seen["kept"]:
        faults.append("results.json is not the judge's")
    faults += seen["processes"]
    faults += seen["files"] if level.blocked["results"] else []
    faults += [f"{place} was reached" for place in seen["reached"] if level.blocked["network"]]
    return faults


def misreported(
    given: Attacks, level: Level, leaks: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Where the canary did not say what is promised for the level, or what the attacks really managed to do."""
    faults = []
    managed = dict.fromkeys(canary.ASPECTS, "")
    for attack in given.attacks:
        if attack.aspect and rows.get(attack.id, {}).get("worked"):
            managed[attack.aspect] = managed[attack.aspect] or attack.id
    for aspect, leak in leaks.items():
        if bool(leak) == level.blocked[aspect]:
            faults.append(f"{aspect} is {'OPEN' if leak else 'BLOCKED'}: {leak or 'nothing worked'}")
        if bool(leak) != bool(managed[aspect]):
            faults.append(f"{aspect}: the canary did {leak or 'nothing'}, the attacks {managed[aspect] or 'nothing'}")
    faults += [f"it {leaks['judge']}" for word in UNHARMED if word in leaks["judge"]]
    return faults


# ----------------------------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class Found:
    """Rows by level and attack; what the canary did by level and aspect; why a level was not tried."""

    given: Attacks
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]]
    leaks: Mapping[str, Mapping[str, str]]
    skipped: Mapping[str, str]

    def faults(self, level: str, attack: Attack) -> list[str]:
        """The promises that it broke at this level."""
        rows = self.rows[level]
        return broken(self.given, attack, LEVELS[level], rows[attack.id], rows)


def chosen(given: Attacks, level: str, every: int = 1) -> list[str]:
    """The attacks that are tried at a level, of which others are left out at each where only a slice is asked for."""
    turn = tuple(LEVELS).index(level)
    return [
        attack.id
        for place, attack in enumerate(given.attacks)
        if not (attack.harm and LEVELS[level].weak) and (place % every == turn % every or attack.id in given.proof)
    ]


def lacks(assignment: Assignment) -> str:
    """Why nothing can be tried, "" if it can."""
    return "" if homework.of(assignment).attacks else "the homework has no attacks of its own."


def measured(
    package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody, levels: Sequence[str] = FOUR
) -> Found:
    """Every attack at every level that this user can try, `jobs` levels at the same time."""
    assignment = homework.load(package)
    given = homework.of(assignment).attacks
    assert given is not None, lacks(assignment)
    grader, own = version.of(assignment), _code()
    digests = {one.id: _digest(one) for one in given.everything}
    journal = Journal(out / "attacks.jsonl")
    skipped = {level: why for level in levels if (why := cannot(LEVELS[level]))}
    before, after = [one.id for one in given.controls], given.everything[-1].id
    plan = {level: [*before, *chosen(given, level, every), after, "canary"] for level in levels if level not in skipped}
    keys = {
        (level, id): (level, id, digests.get(id, ""), own, grader, ",".join(LEVELS[level].layers))
        for level, ids in plan.items()
        for id in ids
    }
    done = sum(key in journal.rows for key in keys.values())
    lock, running = threading.Lock(), list[subprocess.Popen[str]]()

    def run(level: str) -> None:
        nonlocal done
        lacking = [id for id in plan[level] if keys[level, id] not in journal.rows]
        if not lacking:
            return
        alone = os.geteuid() == 0 and not LEVELS[level].root
        number = tuple(LEVELS).index(level)
        process = start(LEVELS[level], f"{RUNS}:at_level", package, lacking, alone, number=number)
        running.append(process)
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read() if process.stderr else ""))
        with ended(process):
            reader.start()
            for line in process.stdout or ():
                id, row = json.loads(line)
                with lock:
                    journal.add(keys[level, id], row)
                    done += 1
                    tell(done, len(keys))
            reader.join()
            if process.wait() != 0:
                raise RuntimeError(f"the attacks at level {level!r} ended: {errors[0][-2000:]}")

    tell(done, len(keys))
    executor = ThreadPoolExecutor(max(1, jobs))
    try:
        for finished in [executor.submit(run, level) for level in plan]:
            finished.result()
    finally:  # where one failed, or somebody pressed Ctrl-C, the others need not go on
        executor.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.kill()
        executor.shutdown()
    rows = {level: {id: journal.rows[keys[level, id]] for id in ids if id != "canary"} for level, ids in plan.items()}
    return Found(given, rows, {level: journal.rows[keys[level, "canary"]] for level in plan}, skipped)


def _code() -> str:
    """A digest of how attacks are tried."""
    texts = [Path(__file__).with_name(name).read_bytes() for name in ("attacks.py", "attack_runs.py", "levels.py")]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def _digest(attack: Attack) -> str:
    """Of all that the attack is; the files' bytes apart, since some are zip bombs."""
    digest = hashlib.sha256(repr(replace(attack, more={})).encode())
    for name, data in attack.more.items():
        digest.update(f"{name}\0{len(data)}\0".encode("utf-8", "replace") + hashlib.sha256(data).digest())
    return digest.hexdigest()[:12]


# ------------------------------------------------------------------------------------------ the report


def _promises(found: Found) -> list[Promise]:
    """Two of each level: nothing was gained there, and the canary says what attacks can do."""
    promises = []
    for level, rows in found.rows.items():
        title, tried = TITLES.get(level, level), [one for one in found.given.everything if one.id in rows]
        bad = [f"{one.id} ({faults[0]})" for one in tried if (faults := found.faults(level, one))]
        count = sum(attack.id in rows for attack in found.given.attacks)
        told = f"{many(count, 'attack')}, {len(bad)} broke it{first(bad)}"
        promises.append(Promise(f"{title}: {LEVELS[level].promise}", told, not bad and count > 0))
        wrong = misreported(found.given, LEVELS[level], found.leaks[level], rows)
        words = [f"{aspect} {'OPEN' if leak else 'BLOCKED'}" for aspect, leak in found.leaks[level].items()]
        what = f"{title}: the canary says what attacks can do, no more and no less"
        promises.append(Promise(what, "; ".join(wrong) or " · ".join(words), not wrong))
    return promises


def _by_class(found: Found) -> Table:
    """How many of each kind of attack held at each level."""
    own = {kind: [attack for attack in found.given.attacks if attack.kind == kind] for kind in KINDS}
    return Table(
        "Held of tried, by class and level",
        ("class", *(TITLES.get(level, level) for level in found.rows)),
        tuple((name, *(_held(found, level, own[kind]) for level in found.rows)) for kind, name in KINDS.items()),
    )


def _held(found: Found, level: str, attacks: Sequence[Attack]) -> str:
    tried = [attack for attack in attacks if attack.id in found.rows[level]]
    return f"{sum(not found.faults(level, one) for one in tried)} of {len(tried)}"


def _all(found: Found) -> Table:
    """What became of each attack at each level."""
    rows = [
        (attack.id, KINDS[attack.kind], *(_outcome(found, level, attack) for level in found.rows))
        for attack in found.given.attacks
    ]
    return Table("All attacks", ("attack", "class", *found.rows), tuple(rows), folded=True)


def _outcome(found: Found, level: str, attack: Attack) -> str:
    """One cell: held, open as the canary said, what broke, or why it was not tried."""
    if attack.id not in found.rows[level]:
        return "would do harm" if attack.harm and LEVELS[level].weak else "not in this slice"
    if bad := found.faults(level, attack):
        return f"BROKEN: {bad[0]}"
    return f"{attack.aspect} OPEN, as told" if found.rows[level][attack.id]["worked"] else "held"


def _not_tried(found: Found) -> list[tuple[str, str]]:
    harmful = [attack for attack in found.given.attacks if attack.harm]
    return [
        *((TITLES.get(level, level), why) for level, why in found.skipped.items()),
        *((f"{one.id}, where other processes are not protected", one.harm) for one in harmful),
    ]


def _open(found: Found) -> list[tuple[str, str, str]]:
    return [(level, aspect, leak) for level in found.rows for aspect, leak in found.leaks[level].items() if leak]


FORM = SectionForm[Found](
    "attacks",
    "Attacks",
    "Hostile submissions through the whole path, each with as few rights around it as its level leaves. "
    "At the last level the canary says WEAK: what it names as open attacks may do, and nothing else.",
    (_promises,),
    (
        _by_class,
        TableForm[Found](
            "What the canary named as open",
            _open,
            {"level": lambda row: row[0], "aspect": lambda row: row[1], "what worked": lambda row: row[2]},
        ),
        TableForm[Found]("Not tried", _not_tried, {"what": lambda row: row[0], "why": lambda row: row[1]}),
        _all,
    ),
)
section = FORM.filled
PART = AuditPart("hostile submissions at four levels of isolation", 12, measured, FORM, lacks)
