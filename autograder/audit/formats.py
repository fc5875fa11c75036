"""Damaged inputs to what the engine reads of strangers: frames, uploads, notebooks and a class's metadata."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from autograder.audit import homework
from autograder.audit.damage import MEMORY, mutated
from autograder.audit.homework import Target
from autograder.core import Assignment, CheckFailed, Values
from autograder.intake import metadata, submission
from autograder.sandbox import wire
from autograder.sandbox.faults import Fault
from autograder.sandbox.guest import notebooks

# ----------------------------------------------------------------------------------------------- frames

HELD: tuple[Values, ...] = (
    {"z": np.arange(6, dtype=np.float32).reshape(2, 3), "ok": np.array([True, False]), "n": 3, "s": "text"},
    {"empty": np.zeros((0, 4)), "scalar": np.full((), np.nan), "x": 1.5, "truth": True},
    {f"cases.{n}.{name}": n for n in range(20) for name in ("m", "v")},
    {"deep": np.zeros((1,) * 6, np.uint8), "half": np.zeros(3, np.float16), "whole": np.arange(9)},
)
FRAMES = [wire.encode(wire.Frame("0123456789abcdef", values=values)) for values in HELD]
FRAMES.append(wire.encode(wire.Frame("fedcba9876543210", fault=Fault("raised", "ValueError: x", "utils.py, line 3"))))
FRAME_WORDS = [
    *(b'"values"', b'"fault"', b'"id"', b'"dtype"', b'"shape"', b"hw!1", b"{", b"}", b"[", b"]", b",", b":", b'"'),
    *(b'{"dtype": "bool", "shape": [4]}', b'"float64"', b'"int64"', b'"object"', b"\\ud800", b"\xff", b"\0" * 8),
]


def frame(rng: random.Random) -> bytes:
    """Half of them with lengths that fit again, so that the change meets what is behind them."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(200))
    data = mutated(rng, FRAMES, FRAME_WORDS)
    if rng.random() < 0.5 or len(data) < wire.PREFIX.size:
        return data
    whole = rng.choice(FRAMES)
    header = wire.PREFIX.unpack(whole[: wire.PREFIX.size])[1]
    text, body = whole[wire.PREFIX.size :][:header], whole[wire.PREFIX.size + header :]
    text = mutated(rng, [text], FRAME_WORDS) if rng.random() < 0.8 else text
    body = mutated(rng, [body], FRAME_WORDS) if rng.random() < 0.3 else body
    return wire.PREFIX.pack(wire.MAGIC, len(text), len(body)) + text + body


def read_frame(data: bytes) -> wire.Frame:
    """As the judge does from a socket: a frame that breaks off is a breach, too."""
    stream = io.BytesIO(data)

    def receive(count: int) -> bytes:
        if len(part := stream.read(count)) < count:
            raise wire.Breach("the bytes end")
        return part

    found = wire.read(receive)
    assert found.fault is not None or all(
        type(value) in (bool, int, float, str, np.ndarray) for value in found.values.values()
    )
    return found


# ---------------------------------------------------------------------------------------------- uploads

ODD = (
    *("..", ".", "", "/", "\\", "C:", "A", "é", ".given", "data", "~", "\n", "submission", "src", "data.py", "x.ipynb"),
    *("\x1b[31m", "\u202e", "\0", "x" * 300, "__MACOSX", "=cmd", " ", "x.zip", "x.py", "wandb", "venv", "node_modules"),
    *("\u200d", "\u200c", "\u00ad", "\ue000", "\U000e0041", ".packages"),
)
"""Parts of names that no homework has."""
COPIES = ("{}{}", "{} (1){}", "Copy of {}{}", "._{}{}", "{}{}.txt", "{}{} ", "{}{}.bak", "{}{} (1)")
"""What systems and tools make of a file's name; of its stem and its ending."""
ZIP_WORDS = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"\xff" * 4, b"\0" * 8, b"../", b"\x0c\0"]


@dataclass(frozen=True)
class Uploads:
    """Damaged uploads of a homework. Its template counts as empty: it would be copied for each of thousands."""

    assignment: Assignment

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Parts of names: those of the graded files, what tools make of them, and odd ones."""
        names = [PurePosixPath(file) for file in self.assignment.graded]
        own = [part for name in names for part in name.parts]
        own += [form.format(name.stem, name.suffix) for name in names for form in COPIES]
        return (*dict.fromkeys([*own, *(name.name.upper() for name in names)]), *ODD)

    def name(self, rng: random.Random) -> str:
        """Of a file in a zip."""
        if rng.random() < 0.3:
            return rng.choice(self.assignment.graded)
        return rng.choice(("/", "/", "\\")).join(rng.choices(self.pieces, k=rng.choice((1, 2, 3, 4, 20))))

    def zip(self, rng: random.Random, *, inner: bool = True) -> bytes:
        """A zip of odd names, links, and zips."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for _ in range(rng.randrange(8)):
                entry = zipfile.ZipInfo("x")
                entry.filename = self.name(rng)
                entry.external_attr = rng.choice((stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO, 0)) << 16
                nested = inner and entry.filename.endswith(".zip")
                data = self.zip(rng, inner=False) if nested else rng.choice((b"", b"x = 1\n", b"y" * 2000))
                with contextlib.suppress(ValueError):  # zipfile itself refuses to write some names
                    archive.writestr(entry, data)
        return buffer.getvalue()

    @cached_property
    def zips(self) -> list[bytes]:
        """Whole ones, to be damaged."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are there twice
            return [self.zip(random.Random(f"zip {number}")) for number in range(50)]

    def archive(self, rng: random.Random) -> bytes:
        """A zip, and in three of four cases a damaged one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            words = [*ZIP_WORDS, *(file.encode() for file in self.assignment.graded)]
            return self.zip(rng) if rng.random() < 0.25 else mutated(rng, self.zips, words)

    def folder(self, rng: random.Random) -> bytes:
        """A folder, as JSON: names (in Latin-1, so that any bytes can be meant) and kinds."""
        entries = []
        for _ in range(rng.randrange(8)):
            parts = [
                rng.choice(self.pieces) if rng.random() < 0.7 else rng.randbytes(4).decode("latin-1") for _ in range(3)
            ]
            name = rng.choice(self.assignment.graded) if rng.random() < 0.2 else "/".join(parts[: rng.randint(1, 3)])
            entries.append((name, rng.choice(("file", "file", "file", "link", "fifo", "folder"))))
        return json.dumps(entries).encode()

    def received(self, make: Callable[[Path], Path]) -> None:
        """Receives the upload that `make` puts into a folder, and looks at what was written."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            workspace = Path(folder, "walls", "workspace")
            workspace.mkdir(parents=True)
            upload = make(Path(folder))
            try:
                found = submission.receive(upload, replace(self.assignment, template=Path("/nonexistent")), workspace)
                words: Sequence[str] = found.remarks
            except CheckFailed as fault:
                words = (str(fault),)
                raise
            finally:
                assert sorted(path.name for path in Path(folder).iterdir()) == sorted({"walls", upload.name})
                assert [path.name for path in workspace.parent.iterdir()] == ["workspace"]
                for path in workspace.rglob("*"):
                    kind = path.lstat().st_mode
                    assert stat.S_ISDIR(kind) or (stat.S_ISREG(kind) and path.lstat().st_nlink == 1), path
            assert all(character.isprintable() for character in "".join(words)), words

    def read_zip(self, data: bytes) -> None:
        """Receives it as an upload."""

        def make(folder: Path) -> Path:
            (folder / "upload.zip").write_bytes(data)
            return folder / "upload.zip"

        self.received(make)

    def read_folder(self, data: bytes) -> None:
        """Makes the folder and receives it."""
        self.received(lambda folder: _made(folder / "upload", json.loads(data)))


def _made(upload: Path, entries: Sequence[tuple[str, str]]) -> Path:
    """The folder with these entries, as far as the system makes them."""
    upload.mkdir()
    for name, kind in entries:
        place = os.path.join(os.fsencode(upload), name.replace("\0", "0").encode("utf-8", "replace"))  # noqa: PTH118
        inside = os.path.abspath(place).startswith(os.fsencode(upload) + b"/")  # noqa: PTH100
        with contextlib.suppress(OSError):
            if not inside:
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120
            if kind == "link":
                os.symlink("/etc/passwd", place)  # noqa: PTH211
            elif kind == "fifo":
                os.mkfifo(place)
            elif kind == "folder":
                os.makedirs(place)  # noqa: PTH103
            else:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return upload


# -------------------------------------------------------------------------------------------- notebooks

SOURCES = (
    "import torch\nfrom math import *\n",
    "def loss(logprobs, actions, rewards):\n    return -(logprobs * rewards).mean()\n",
    "for i in range(3):\n    try:\n        x = i\n    except OSError as e:\n        pass\n    loss = x ** 2\n",
    "%matplotlib inline\n!pip install x\nx = !ls\n%%time\ny = 1\n",
    "%%bash\nrm -rf /\n",
    "class A:\n    b = lambda self: [c for c in d if (e := c)]\n@f\nasync def g(*h, **i): await j\n",
    "x: int = 3\nx[0], *y = z = 1, 2\nwith a as b, c as d: global q\nmatch x:\n    case {'k': v}: pass\n",
    "\x0cx = '''a\nb'''; y = f'{x!r:>{w}}' \\\n  + z\n# é\n",
)
PYTHON_WORDS = [
    *(b"def ", b"class ", b"lambda", b"import *", b"from . import x", b"%%time\\n", b"%%bash\\n", b"!ls", b"?x", b"x?"),
    *(
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b"\\n",
        b"\\t",
        b"    ",
        b"'''",
        b'\\"',
        b"\\\\",
        b"#",
        b"@",
        b"*",
        b"=",
    ),
    *(b"async ", b"await ", b"yield ", b"global x", b"nonlocal x", b"except* E", b"match x:", b"f'{'", b"\\u0000"),
    *(b"\\ufeff", b"\\ud800", b"\\f", b"\\r", b"-" * 200, b"(" * 200, b"not " * 100, b"x." * 200, b"if 1:\\n "),
]
NOTEBOOK_WORDS = [
    *PYTHON_WORDS, b'"cells"', b'"cell_type"', b'"code"', b'"source"', b'"nbformat"', b'"metadata"', b'"worksheets"',
    b'"input"', b"[" * 300, b'{"a":' * 300, b"[]", b"{}", b",", b"\xff\xfe", b"\xef\xbb\xbf",
]  # fmt: skip


def _cells(sources: Sequence[object]) -> bytes:
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for source in sources
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


OLD = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [
    {"cells": [{"cell_type": "code", "language": "python", "input": SOURCES[1], "outputs": []}]}]}  # fmt: skip
NOTEBOOKS = [
    _cells(SOURCES), _cells(SOURCES[1:2]), _cells([SOURCES[0].splitlines(), "", SOURCES[4]]), json.dumps(OLD).encode(),
]  # fmt: skip


def notebook(rng: random.Random) -> bytes:
    """Half of them damaged as files, half with damaged Python in cells that can be read."""
    if rng.random() < 0.5:
        return mutated(rng, NOTEBOOKS, NOTEBOOK_WORDS)
    words = [word.replace(b"\\n", b"\n").replace(b"\\t", b"\t") for word in PYTHON_WORDS]
    seeds = [source.encode() for source in SOURCES]
    return _cells([mutated(rng, seeds, words).decode("utf-8", "replace") for _ in range(rng.randint(1, 4))])


def read_notebook(data: bytes) -> None:
    """What a worker does before any of it runs: the cells, their statements, and what a graded name needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes, odd metadata
        source = notebooks.source_of(notebooks.read(data))
    assert all(one.text for one in source.definitions(["loss", "x"]))


# ------------------------------------------------------------------------------------ a class's metadata

ONE = (
    "submission_11:\n  :submitters:\n  - :name: Ann Lee\n    :sid: '0123'\n    :email: ann@x.edu\n"
    "  :created_at: 2026-11-20 12:00:00.000000000 -08:00\n  :score: 1.0\n  :results: {:tests: [{:name: x}]}\n"
)
RAILS = (
    "--- !ruby/hash:X\nsubmission_1: !ruby/object:S\n  :submitters:\n  - !ruby/object:User\n    :name: !binary QW5u\n"
    "    :sid: &1 7\n    :email: *1\n  :created_at: !ruby/object:T\n    utc: &2 2026-11-20\n  :x: *2\n"
)
METADATA = [
    ONE.encode(), (ONE + ONE.replace("11", "12")).encode(), RAILS.encode(), ONE.encode("utf-16"),
    b'{"submission_3": {"submitters": [{"name": "Bo", "sid": 3, "email": null}], "created_at": "x"}}',
]  # fmt: skip
YAML_WORDS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b"- ",
        b"? ",
        b", ",
        b"\n",
        b"\n  ",
        b"\n\t",
        b"'",
        b'"',
        b"|\n",
        b">-\n",
        b"#",
        b"---\n",
    ),
    *(b"...\n", b"&a ", b"*a", b"*1", b"&1 ", b"<<: *a", b"!x ", b"!!int ", b"!!bool ", b"!!binary ", b"!ruby/symbol "),
    *(b"!ruby/object:X ", b"!<", b"%YAML 1.1\n", b"%TAG ! x\n", b"[" * 300, b"{a: " * 100, b"- " * 300, b"&a [*a, *a]"),
    *(b"\\e", b"\\u202e", b"\\ud800", b"\x1b[2J", b"\xe2\x80\xae", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"~"),
    *(b"null", b":submitters: ", b":name: ", b"0x", b"9" * 5000, b"1e999", b"../", b"submission_11: "),
]

VALUES = (
    *(
        b"Ann",
        b"'0123'",
        b"!binary QW5u",
        b"!ruby/object:X {a: Ann, b: [1]}",
        b"!!int ''",
        b'!!bool "x"',
        b'"\\e[2J\\u202e"',
    ),
    *(
        b"*a",
        b"[*a, *a, *a]",
        b"{a: *a}",
        b"&a [*a]",
        b"[[[[Ann]]]]",
        b"!!null x",
        b"|\n      Ann",
        b"~",
        b"2026-11-20 12:00:00",
    ),
)


def metadata_of(rng: random.Random) -> bytes:
    """Half of them damaged files; half whole ones with odd values for names, ids and times."""
    if rng.random() < 0.5:
        return mutated(rng, METADATA, YAML_WORDS)
    words = (*VALUES, *(word.strip().replace(b"\n", b" ") for word in YAML_WORDS))
    fields = (b"name", b"sid", b"email")
    students = b"".join(
        b"  - " + b"    ".join(b":%s: %s\n" % (one, rng.choice(words)) for one in fields)
        for _ in range(rng.randrange(3))
    )
    return b"s:\n  :x: &a %s\n  :submitters:\n%s  :created_at: %s\n" % (rng.choice(words), students, rng.choice(words))


def read_metadata(data: bytes) -> None:
    """As `class` does; all text that it gets from there can be shown."""
    name = metadata.NAMES[-1] if data[:1] == b"{" else metadata.NAMES[0]
    for one in metadata.read(data, name):
        texts = [one.created_at, *(text for each in one.students for text in vars(each).values())]
        assert all(len(text) <= metadata.MAX_TEXT and "\x1b" not in text and "\u202e" not in text for text in texts)
        one.folder.encode()  # of which an id is made


# -------------------------------------------------------------------------------------------- all of them


def targets(assignment: Assignment) -> tuple[Target, ...]:
    """The engine's readers and the homework's own."""
    own, uploads = homework.of(assignment).fuzzing, Uploads(assignment)

    def inputs(id: str) -> int:
        return own.inputs.get(id, own.usual_inputs)

    return (
        Target("frames", "frames of a worker (wire.py)", inputs("frames"), frame, read_frame, (wire.Breach,)),
        Target("zips", "zips (submission.py)", inputs("zips"), uploads.archive, uploads.read_zip, (CheckFailed,)),
        Target(
            "folders", "folders (submission.py)", inputs("folders"), uploads.folder, uploads.read_folder, (CheckFailed,)
        ),
        Target(
            *("metadata", "a class's metadata (metadata.py)", inputs("metadata")),
            *(metadata_of, read_metadata, (CheckFailed,)),
        ),
        Target(
            *("notebooks", "notebooks (notebooks.py)", inputs("notebooks")),
            *(notebook, read_notebook, (notebooks.NotebookUnreadable,)),
        ),
        *own.targets,
    )
