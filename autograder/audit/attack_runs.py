"""One attack at one level of protection: it is graded as the command line does, and what it did is looked for."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autograder.audit import homework
from autograder.audit.homework import Attack, Attacks
from autograder.audit.levels import ROOT
from autograder.core import Assignment, Check, CheckFailed, Result, Submission
from autograder.grade import Grading
from autograder.intake import submission
from autograder.output import gradescope
from autograder.sandbox import confine
from autograder.sandbox.host import canary
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import scratch

TORCH = find_spec("torch")
PLACES = (
    *map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")),
    ROOT,
    *map(Path, (TORCH and TORCH.submodule_search_locations) or ()),
)
"""Where attacks try to leave something: what everybody may write to, and what root may."""
MOST_TEXT = 20_000


FOUND = "TARGET-FOUND "
LOOK_FOR = """
def _exists(target):
    import sys
    kind, _, rest = target.partition(":")
    if kind == "local":
        frame = sys._getframe()
        while frame:
            if rest in frame.f_locals: return True
            frame = frame.f_back
        return False
    path, _, inside = rest.partition("/")
    for name, module in list(sys.modules.items()):
        if name == kind or name.endswith("." + kind):
            found = module
            for part in path.split("."): found = getattr(found, part, None)
            if found is not None: return not inside or inside in found.__code__.co_names
    return False
[print(FOUND + _target, flush=True) for _target in TARGETS if _exists(_target)]
"""
"""Put before an attack with targets; prints in its worker which of them are there. "local:NAME" is a variable of some
frame above, "MODULE:NAME.NAME" an attribute of a module whose dotted name ends so, "...:NAME/WORD" a function that uses
the word."""

# -------------------------------------------------------------------------------------- what is asked


def looked_for(attack: Attack) -> str:
    """The source that looks for the attack's targets, "" where it has none."""
    if not attack.targets:
        return ""
    # In two parts, so that the line itself, quoted in some message, is not taken for what it prints.
    word = f"{FOUND[:6]!r} + {FOUND[6:]!r}"
    return LOOK_FOR.replace("FOUND", word).replace("TARGETS", repr(attack.targets))


def asked(given: Attacks, assignment: Assignment, attack: Attack) -> Assignment:
    """What is enough to ask, to save time: the question's functions, with the attack's seconds for those it is about.

    Of another question whose file is in the upload the first check is asked too. Raises LookupError where the question
    has no checks of what the attack is about.
    """
    question = next(question for question in assignment.questions if question.id == given.question)
    files = tuple(file for file in question.files if file in given.files)
    groups = tuple(group for group in given.wrong if attack.allowed.get(group, "full") != "full") or tuple(given.wrong)
    checks = [check for check in question.checks if not check.request.file]
    if not any(check.id.startswith(groups) for check in checks):
        raise LookupError(f"question {given.question} has no check {' or '.join(groups)}...")
    limited = tuple(_limited(check, attack.seconds) if check.id.startswith(groups) else check for check in checks)
    questions = [replace(question, files=files, checks=limited)]
    for other in assignment.questions:
        if set(other.files) & set(attack.more):
            questions.append(replace(other, checks=other.checks[:1]))
    return replace(assignment, questions=tuple(questions))


def _limited(check: Check, seconds: float) -> Check:
    return replace(check, request=replace(check.request, seconds=seconds))


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


def uploaded(given: Attacks, attack: Attack, assignment: Assignment, words: Mapping[str, str], folder: Path) -> Path:
    """The attack as an upload below `folder`: a zip, or a folder where it has links ("|" is a FIFO)."""

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    files = {file: (assignment.reference / file).read_bytes() for file in given.files}
    text = {**attack.behind, given.files[0]: looked_for(attack) + attack.behind.get(given.files[0], "")}
    for file, behind in text.items():
        files[file] += f"\n\n{filled(behind)}\n".encode()
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


def tried(
    sandbox: Sandbox, beside: Around, given: Attacks, assignment: Assignment, attack: Attack, *, alone: bool = False
) -> dict[str, Any]:
    """Grades one attack as the command line does, and looks at what it did: a row of JSON's plain values.

    `alone`: all processes of this user are ours, so that whatever else runs as it was left behind.
    """
    own, path = asked(given, assignment, attack), beside.folder / "results" / "results.json"
    results: list[Result] = []
    refused, document = "", gradescope.document(own, [])
    gradescope.write(path, document, links=False)
    cpu = sandbox.cpu
    with scratch() as folder:
        upload = uploaded(given, attack, assignment, beside.words(assignment), folder)
        try:
            received: Submission = submission.receive(upload, own, folder / "workspace", group=sandbox.uid)
        except CheckFailed as fault:
            refused = str(fault)
        else:
            sandbox.read(received)
            for result in Grading(sandbox, received, own, b"attacks", 300.0).results():
                results.append(result)
                document = gradescope.document(own, results, remarks=received.remarks)
                gradescope.write(path, document, links=False)
    text = json.dumps(document, ensure_ascii=False) + refused
    messages = [result.verdict.message for result in results]
    # Behind a message stand lines of the attack's own, which tell nothing of what became of it.
    said = [*messages, refused, document["output"], *(result.log for result in results)]
    left = left_behind(sandbox, beside.mark, alone=alone)
    row = {
        "scores": {result.check.id: result.score for result in results},
        "statuses": {result.check.id: f"{result.status} {result.log}"[:200] for result in results
                     if result.status != "graded"},
        "messages": sorted({message[:400] for message in [*messages, *([refused] if refused else [])]}),
        "refused": bool(refused),
        "worked": any("PWNED" in one for one in said),
        "shown": _shown([*messages, document["output"], refused], "SEEN" in text),
        "processes": [item for item in left if not item.startswith("/")],
        "files": [item for item in left if item.startswith("/")],
        "reached": beside.reached(),
        "found": sorted({word for result in results for word in re.findall(rf"{FOUND}(\S+)", result.log)}),
        "kept": not path.is_symlink() and json.loads(path.read_text()) == document,
        "cpu": sandbox.cpu - cpu,
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


def left_behind(sandbox: Sandbox, mark: str, *, alone: bool = False) -> list[str]:
    """What outlived the last worker: the zygote's children, processes and files of its user, marked files.

    `alone`: this process and the zygote are the only ones of their user, so any other was left.
    """
    found = []
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{sandbox.zygote_pid}/task/{sandbox.zygote_pid}/children")
        found += [f"child {pid}" for pid in children.read_text().split()]
    user = sandbox.uid or (os.geteuid() if alone else None)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) in (os.getpid(), sandbox.zygote_pid):
                continue
            ours = user is not None and process.stat().st_uid == user
            if ours or (mark and mark.encode() in (process / "cmdline").read_bytes()):
                found.append(f"process {process.name}")
    for folder in PLACES:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                owner = entry.stat(follow_symlinks=False).st_uid
                if (sandbox.uid and owner == sandbox.uid) or (mark and mark in entry.name):
                    found.append(entry.path)
    return found


def _cleared(beside: Around, left: Sequence[str]) -> None:
    """Removes what attacks of this level left, so that the next one is not taken for it."""
    paths = [path for path in map(Path, left) if beside.mark in path.name]
    paths += [path for path in (beside.folder / "results").glob("*") if path.name != "results.json"]
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def at_level(layers: list[str], package: str, ids: list[str], alone: bool) -> None:
    """Runs in a process of its own: prints a line of JSON for each attack and control, and one for the canary."""
    assignment = homework.load(package)
    given = homework.of(assignment).attacks
    assert given is not None, "no process is started for a homework without attacks"
    chosen = [one for one in given.everything if one.id in ids]
    confine.shield()
    with Sandbox(SandboxConfig(assignment.probes, tuple(layers))) as sandbox, around() as beside:
        for one in chosen:
            print(json.dumps([one.id, tried(sandbox, beside, given, assignment, one, alone=alone)]), flush=True)
        if "canary" in ids:
            report = canary.inspect(sandbox, beside=assignment.reference, results=beside.folder / "results")
            print(json.dumps(["canary", dict(report.leaks)]), flush=True)
