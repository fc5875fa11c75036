"""All attacks at four levels of protection: what each got, beside what is promised there and what the canary says."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from autograder import version
from autograder.audit.journal import Journal
from autograder.audit.section import Promise, Section, Table, Tell, nobody
from autograder.core import Assignment, Check, Reject, Result, Submission
from autograder.grade import Grading
from autograder.hw11.audit.attacks import ATTACKS, CLASSES, FOUND, RIGHT, WRONG, WRONG_BOUND, Attack, looked_for
from autograder.intake import submission
from autograder.output import gradescope
from autograder.sandbox import confine
from autograder.sandbox.host import canary
from autograder.sandbox.host.scratch import scratch
from autograder.sandbox.host.wall import Pool, Wall
from autograder.text import many

ROOT = Path(__file__).resolve().parents[2]
DOCKER = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod"
DOCKER = f"{DOCKER},audit_write,setfcap"
"""The capabilities that Docker leaves to root."""
STRANGER = 0x0FED0000
"""The first of the users for levels without root, made up for them: the level number n of process p is this one's."""
ALL = confine.LAYERS
BLOCKED = dict.fromkeys(canary.ASPECTS, True)
TORCH = find_spec("torch")
PLACES = (
    *map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")),
    ROOT,
    *map(Path, (TORCH and TORCH.submodule_search_locations) or ()),
)
"""Where attacks try to leave something: what everybody may write to, and what root may."""
PARTS = {"vae.sample": "utils", "vae.bound": "vae"}
UNHARMED = ("memory", "environment")
"""Of the judge these cannot be read even where the canary says that it is open: it may be signalled, no more."""
MOST_TEXT = 20_000


class Level(NamedTuple):
    """`root`: run as root; `layers`: of the confinement; `blocked`: what the canary must find BLOCKED there."""

    root: bool
    layers: tuple[str, ...]
    blocked: Mapping[str, bool]
    limited: bool = True
    promise: str = "nothing gained, stolen, sent, left behind or broken"

    @property
    def weak(self) -> bool:
        """Whether attacks could do harm: what protects other processes is not all there."""
        return not (self.blocked["processes"] and self.blocked["judge"])


OPEN_FILES = BLOCKED | {"files": False, "results": False}
LEVELS = {
    "root": Level(True, ALL, BLOCKED, limited=False),
    "docker": Level(True, ALL, BLOCKED),
    "user": Level(False, ALL, BLOCKED),
    "user without seccomp and Landlock": Level(
        False, ("prctl", "rlimits"), dict.fromkeys(canary.ASPECTS, False) | {"memory": True},
        promise="no forged score, no points for an error of ours, none of the judge's secrets in reach, results.json "
        "the judge's in the end, its memory and environment unread, every process ended, 4 GB refused",
    ),
    "docker without Landlock": Level(True, ("user", "prctl", "rlimits", "seccomp"), OPEN_FILES),
    "user without Landlock": Level(False, ("prctl", "rlimits", "seccomp"), OPEN_FILES),
}  # fmt: skip
FOUR = tuple(LEVELS)[:4]
TITLES = {
    "root": "root with everything",
    "docker": "root with Docker's default capabilities",
    "user": "an ordinary user with Landlock and seccomp",
    "user without seccomp and Landlock": "an ordinary user with neither",
}
CONTROLS = (
    Attack("right", "", RIGHT, sample="full"),
    Attack("wrong-sample", "", WRONG, sample="any"),
    Attack("wrong-bound", "", vae=WRONG_BOUND, sample="full", bound="any"),
)
"""Graded before the attacks: what right functions earn, and what the wrong ones do by themselves."""
AFTERWARDS = Attack("right-afterwards", "", RIGHT, sample="full")
PROOF = ("reference-file", "files-left", "sockets", "daemon", "signal-zero", "four-gigabytes")
"""An attack for each of the canary's aspects, in a slice too, so that what it says can be compared."""


# -------------------------------------------------------------------------------------- what is asked


def code_of(assignment: Assignment) -> Assignment:
    """Question 4's code alone, without pictures and answers."""
    question = next(question for question in assignment.questions if question.id == "vae")
    checks = tuple(check for check in question.checks if not check.ask.file)
    files = tuple(file for file in question.files if file.endswith(".py"))
    return replace(assignment, questions=(replace(question, files=files, checks=checks),))


def asked(assignment: Assignment, attack: Attack) -> Assignment:
    """What is enough to ask, to save time: question 4's functions, with the attack's seconds for the one it is in.

    Of an attack with a notebook the first check of question 6 is asked too.
    """
    limited = "vae.probes:" if attack.bound == "full" else "vae.private_probes:" if attack.sample == "full" else ""
    (question,) = code_of(assignment).questions
    if not any(check.ask.probe.startswith(limited) for check in question.checks):
        raise LookupError(f"question 4 asks no probe {limited}...")
    checks = tuple(_limited(check, attack.seconds, limited) for check in question.checks)
    questions = [replace(question, checks=checks)]
    for other in assignment.questions:
        if set(other.files) & set(attack.more):
            questions.append(replace(other, checks=other.checks[:1]))
    return replace(assignment, questions=tuple(questions))


def _limited(check: Check, seconds: float, probes: str) -> Check:
    return replace(check, ask=replace(check.ask, seconds=seconds)) if check.ask.probe.startswith(probes) else check


def _points(assignment: Assignment, part: str) -> float:
    return sum(
        check.points for question in assignment.questions for check in question.checks if check.id.startswith(part)
    )


# --------------------------------------------------------------------------------- inside of one level


@dataclass(frozen=True)
class Around:
    """What lies around the attacks of a level: listeners, a folder for results, another student's file, the mark."""

    mark: str
    folder: Path
    listeners: tuple[socket.socket, ...]

    def words(self, assignment: Assignment) -> dict[str, str]:
        """What the words in an attack's text stand for; UDPPORT before PORT, which it holds."""
        tcp, udp, *_ = self.listeners
        return {
            "MARK": self.mark, "JUDGE": str(os.getpid()), "UDPPORT": str(udp.getsockname()[1]),
            "PORT": str(tcp.getsockname()[1]), "UNIXPATH": f"{self.folder}/listener",
            "RESULTS": f"{self.folder}/results", "OTHER": f"{self.folder}/other/submission_metadata.json",
            "REFERENCE": str(assignment.reference), "ROOT": str(ROOT),
        }  # fmt: skip

    def reached(self) -> list[str]:
        """The listeners that somebody reached since the last look."""
        found = []
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close() if listener.type == socket.SOCK_STREAM else listener.recv(9)
                found.append(str(listener.getsockname()))
        return found


@contextlib.contextmanager
def around() -> Iterator[Around]:
    """Lays it out, in a folder that workers can pass through."""
    mark = f"mark{os.getpid()}x"
    with scratch() as folder, contextlib.ExitStack() as stack:
        (folder / "results").mkdir()
        (folder / "other").mkdir()
        other = folder / "other" / "submission_metadata.json"
        other.write_text('{"users": [{"email": "somebody"}]}')
        other.chmod(0o600)
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        for family, address in ((2, ("127.0.0.1", 0)), (1, f"{folder}/listener"), (1, f"\0{mark}")):
            listeners.append(stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)))
            listeners[-1].bind(address)
        for listener in listeners:
            listener.setblocking(False)
        (folder / "listener").chmod(0o777)
        yield Around(mark, folder, tuple(listeners))


def uploaded(attack: Attack, assignment: Assignment, words: Mapping[str, str], folder: Path) -> Path:
    """The attack as an upload below `folder`: a zip, or a folder where it has links ("|" is a FIFO)."""

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    files = {
        path.relative_to(assignment.reference).as_posix(): path.read_bytes()
        for path in sorted((assignment.reference / "gan_vae").rglob("*.py"))
        if path.name in ("utils.py", "__init__.py") or path.parent.name == "models"
    }
    for file, text in (("gan_vae/utils.py", looked_for(attack) + attack.utils), ("gan_vae/models/vae.py", attack.vae)):
        files[file] += f"\n\n{filled(text)}\n".encode()
    files |= {filled(name): data for name, data in attack.more.items()}
    if not attack.links:
        upload = folder / "upload.zip"
        with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return upload
    upload = folder / "upload"
    for name, data in files.items():
        if not any(name == link or name.startswith(f"{link}/") for link in attack.links):
            (upload / name).parent.mkdir(parents=True, exist_ok=True)
            (upload / name).write_bytes(data)
    for name, target in attack.links.items():
        (upload / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(upload / name) if target == "|" else (upload / name).symlink_to(filled(target))
    return upload


def tried(pool: Pool, beside: Around, assignment: Assignment, attack: Attack, *, alone: bool = False) -> dict[str, Any]:
    """Grades one attack as the command line does, and looks at what it did: a row of JSON's plain values.

    `alone`: all processes of this user are ours, so that whatever else runs as it was left behind.
    """
    own, path = asked(assignment, attack), beside.folder / "results" / "results.json"
    results: list[Result] = []
    refused, document = "", gradescope.document(own, [])
    gradescope.write(path, document)
    cpu = pool.cpu
    with scratch() as folder:
        upload = uploaded(attack, assignment, beside.words(assignment), folder)
        try:
            received: Submission = submission.receive(upload, own, folder / "box", group=pool.uid)
        except Reject as fault:
            refused = str(fault)
        else:
            pool.read(received)
            for result in Grading(pool, received, own, b"attacks", 300.0).results():
                results.append(result)
                document = gradescope.document(own, results, remarks=received.remarks)
                gradescope.write(path, document)
    text = json.dumps(document, ensure_ascii=False) + refused
    messages = [result.verdict.message for result in results]
    left = left_behind(pool, beside.mark, alone=alone)
    row = {
        "scores": {result.check.id: result.score for result in results},
        "statuses": {result.check.id: f"{result.status} {result.log}"[:200] for result in results
                     if result.status != "graded"},
        "messages": sorted({message[:400] for message in [*messages, *([refused] if refused else [])]}),
        "refused": bool(refused),
        "worked": "PWNED" in text or any("PWNED" in result.log for result in results),
        "shown": _shown([*messages, document["output"], refused], "SEEN" in text),
        "processes": [item for item in left if not item.startswith("/")],
        "files": [item for item in left if item.startswith("/")],
        "reached": beside.reached(),
        "found": sorted({word for result in results for word in re.findall(rf"{FOUND}(\S+)", result.log)}),
        "kept": not path.is_symlink() and json.loads(path.read_text()) == document,
        "cpu": pool.cpu - cpu,
    }  # fmt: skip
    _cleared(beside, left)
    return row


def _shown(texts: Sequence[str], printed: bool) -> list[str]:
    """What is wrong with what the student is shown."""
    text = "".join(texts)
    faults = {
        "what the code printed is shown": printed,
        "control characters are shown": not all(one.isprintable() or one == "\n" for one in text),
        "an HTML tag is shown": re.search(r"<[A-Za-z/!]", text) is not None,
        "more than 20,000 characters are shown": len(text) > MOST_TEXT,
        "a cell of a table could be taken for a formula": any(one.startswith(("=", "+", "-", "@")) for one in texts),
    }
    return [fault for fault, found in faults.items() if found]


def left_behind(pool: Pool, mark: str, *, alone: bool = False) -> list[str]:
    """What outlived the last worker: the zygote's children, processes and files of its user, marked files.

    `alone`: this process and the zygote are the only ones of their user, so any other was left.
    """
    found = []
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pool.zygote_pid}/task/{pool.zygote_pid}/children")
        found += [f"child {pid}" for pid in children.read_text().split()]
    user = pool.uid or (os.geteuid() if alone else None)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) in (os.getpid(), pool.zygote_pid):
                continue
            ours = user is not None and process.stat().st_uid == user
            if ours or (mark and mark.encode() in (process / "cmdline").read_bytes()):
                found.append(f"process {process.name}")
    for folder in PLACES:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                owner = entry.stat(follow_symlinks=False).st_uid
                if (pool.uid and owner == pool.uid) or (mark and mark in entry.name):
                    found.append(entry.path)
    return found


def _cleared(beside: Around, left: Sequence[str]) -> None:
    """Removes what attacks of this level left, so that the next one is not taken for it."""
    paths = [path for path in map(Path, left) if beside.mark in path.name]
    paths += [path for path in (beside.folder / "results").glob("*") if path.name != "results.json"]
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def at_level(layers: list[str], homework: str, ids: list[str], alone: bool) -> None:
    """Runs in a process of its own: prints a line of JSON for each attack and control, and one for the canary."""
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    chosen = [one for one in (*CONTROLS, *ATTACKS, AFTERWARDS) if one.id in ids]
    confine.shield()
    with Pool(Wall(assignment.probes, tuple(layers))) as pool, around() as beside:
        for one in chosen:
            print(json.dumps([one.id, tried(pool, beside, assignment, one, alone=alone)]), flush=True)
        if "canary" in ids:
            report = canary.inspect(pool, beside=assignment.reference, results=beside.folder / "results")
            print(json.dumps(["canary", dict(report.leaks)]), flush=True)


def start(level: Level, program: str, *arguments: Any, number: int = 0) -> subprocess.Popen[str]:
    """Calls the function `program` ("module:function") of this repository with the rights of a level, in a process.

    It gets the level's layers and the arguments, JSON's plain values. As an ordinary user only levels without root can
    be started, and keep that user. Needs setpriv as root.
    """
    user = str(STRANGER + 16 * (os.getpid() % 4096) + number)
    rights = ["--bounding-set", "-all," + ",".join(f"+{name}" for name in DOCKER.split(","))] if level.limited else []
    if not level.root:
        rights = ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]
    module, _, function = program.partition(":")
    called = (
        f"import sys, json; sys.path[:0] = [{str(ROOT)!r}]; from importlib import import_module as load;"
        f"load({module!r}).{function}(*json.loads(sys.argv[1]))"
    )
    return subprocess.Popen(
        [*(["setpriv", *rights] if os.geteuid() == 0 else []), sys.executable, "-I", "-B", "-c", called,
         json.dumps([list(level.layers), *arguments])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "HOME": "/nonexistent",
             "AUTOGRADER_TOKEN": "token-of-the-judge"},
    )  # fmt: skip


def cannot(level: Level) -> str:
    """Why a level cannot be tried by this user on this machine, or ""."""
    if os.geteuid() != 0:
        return "needs root" if level.root else ""
    return "" if shutil.which("setpriv") else "needs setpriv (util-linux)"


# -------------------------------------------------------------------------------------- what is promised


def broken(attack: Attack, level: Level, seen: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
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
    for part, allowed in () if seen["refused"] else (("vae.sample", attack.sample), ("vae.bound", attack.bound)):
        scores = {check: score for check, score in seen["scores"].items() if check.startswith(part)}
        full = rows["right"]["scores"]
        wrong = rows["wrong-sample" if part == "vae.sample" else "wrong-bound"]["scores"]
        for check, score in scores.items():
            most = {"none": 0.0, "wrong": wrong.get(check, 0.0)}.get(allowed, full.get(check, score))
            most = 0.0 if check == attack.loses else most
            if score > most:
                faults.append(f"{check} gave {score:g} points of at most {most:g}")
            if allowed == "full" and score < most and not at_large:
                faults.append(f"{check} gave {score:g} points of {most:g} deserved")
    if any(score for check, score in seen["scores"].items() if not check.startswith(tuple(PARTS))):
        faults.append("a broken notebook gave points")
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


def misreported(level: Level, leaks: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the canary did not say what is promised for the level, or what the attacks really managed to do."""
    faults = []
    managed = dict.fromkeys(canary.ASPECTS, "")
    for attack in ATTACKS:
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
    """Rows by level and attack; what the canary did by level and aspect; why a level was not tried; CPU seconds."""

    rows: Mapping[str, Mapping[str, Mapping[str, Any]]]
    leaks: Mapping[str, Mapping[str, str]]
    skipped: Mapping[str, str]

    def faults(self, level: str, attack: Attack) -> list[str]:
        rows = self.rows[level]
        return broken(attack, LEVELS[level], rows[attack.id], rows)


def chosen(level: str, every: int = 1) -> list[str]:
    """The attacks that are tried at a level, of which others are left out at each where only a slice is asked for."""
    turn = tuple(LEVELS).index(level)
    return [
        attack.id
        for place, attack in enumerate(ATTACKS)
        if not (attack.harm and LEVELS[level].weak) and (place % every == turn % every or attack.id in PROOF)
    ]


def measured(
    homework: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody, levels: Sequence[str] = FOUR
) -> Found:
    """Every attack at every level that this user can try, `jobs` levels at the same time."""
    grader = version.of(importlib.import_module(homework).ASSIGNMENT)
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    attacks = {one.id: _digest(one) for one in (*CONTROLS, *ATTACKS, AFTERWARDS)}
    journal = Journal(out / "attacks.jsonl")
    skipped = {level: why for level in levels if (why := cannot(LEVELS[level]))}
    plan = {
        level: [*(one.id for one in CONTROLS), *chosen(level, every), AFTERWARDS.id, "canary"]
        for level in levels
        if level not in skipped
    }
    keys = {
        (level, id): (level, id, attacks.get(id, ""), own, grader, ",".join(LEVELS[level].layers))
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
        process = start(LEVELS[level], f"{__name__}:at_level", homework, lacking, alone, number=number)
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
    return Found(rows, {level: journal.rows[keys[level, "canary"]] for level in plan}, skipped)


def _digest(attack: Attack) -> str:
    """Of all that the attack is; the files' bytes apart, since some are zip bombs."""
    digest = hashlib.sha256(repr(replace(attack, more={})).encode())
    for name, data in attack.more.items():
        digest.update(f"{name}\0{len(data)}\0".encode("utf-8", "replace") + hashlib.sha256(data).digest())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ends the process, whatever happens meanwhile."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def section(found: Found) -> Section:
    """What was tried and what held, level by level."""
    faults = {
        (level, attack.id): found.faults(level, attack)
        for level in found.rows
        for attack in (*CONTROLS, *ATTACKS, AFTERWARDS)
        if attack.id in found.rows[level]
    }
    promises = []
    for level, rows in found.rows.items():
        bad = [f"{id} ({faults[level, id][0]})" for id in rows if faults[level, id]]
        count = sum(attack.id in rows for attack in ATTACKS)
        promises.append(
            Promise(
                f"{TITLES.get(level, level)}: {LEVELS[level].promise}",
                f"{many(count, 'attack')}, {len(bad)} broke it" + "".join(f"; {one}" for one in bad[:5]),
                not bad and count > 0,
            )
        )
        wrong = misreported(LEVELS[level], found.leaks[level], rows)
        words = [f"{aspect} {'OPEN' if leak else 'BLOCKED'}" for aspect, leak in found.leaks[level].items()]
        promises.append(
            Promise(
                f"{TITLES.get(level, level)}: the canary says what attacks can do, no more and no less",
                "; ".join(wrong) or " · ".join(words),
                not wrong,
            )
        )
    levels = tuple(found.rows)
    classes = [(name, [attack for attack in ATTACKS if attack.kind == kind]) for kind, name in CLASSES.items()]
    return Section(
        "attacks",
        "Attacks",
        "Hostile submissions through the whole path, each with as few rights around it as its level leaves. "
        "At the last level the canary says WEAK: what it names as open attacks may do, and nothing else.",
        tuple(promises),
        (
            Table(
                "Held of tried, by class and level",
                ("class", *(TITLES.get(level, level) for level in levels)),
                tuple(
                    (
                        name,
                        *(
                            _held([faults[level, one.id] for one in own if one.id in found.rows[level]])
                            for level in levels
                        ),
                    )
                    for name, own in classes
                ),
            ),
            Table(
                "What the canary named as open",
                ("level", "aspect", "what worked"),
                tuple((level, a, leak) for level in levels for a, leak in found.leaks[level].items() if leak),
            ),
            Table(
                "Not tried",
                ("what", "why"),
                (
                    *((TITLES.get(level, level), why) for level, why in found.skipped.items()),
                    *((f"{one.id}, where other processes are not protected", one.harm) for one in ATTACKS if one.harm),
                ),
            ),
            Table(
                "All attacks",
                ("attack", "class", *levels),
                tuple(
                    (attack.id, CLASSES[attack.kind], *(_outcome(found, level, attack, faults) for level in levels))
                    for attack in ATTACKS
                ),
                folded=True,
            ),
        ),
    )


def _held(faults: Sequence[Sequence[str]]) -> str:
    return f"{sum(not one for one in faults)} of {len(faults)}"


def _outcome(found: Found, level: str, attack: Attack, faults: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """One cell: held, open as the canary said, what broke, or why it was not tried."""
    if attack.id not in found.rows[level]:
        return "would do harm" if attack.harm and LEVELS[level].weak else "not in this slice"
    if bad := faults[level, attack.id]:
        return f"BROKEN: {bad[0]}"
    return f"{attack.aspect} OPEN, as told" if found.rows[level][attack.id]["worked"] else "held"
