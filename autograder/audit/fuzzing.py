"""A hundred thousand damaged inputs to everything that reads a stranger's bytes: what it raises, keeps and costs.

All inputs follow from a seed and their number, so that one that was found to be at fault can be made again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import io
import json
import os
import random
import signal
import stat
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograder import version
from autograder.audit import parallel
from autograder.audit.journal import Journal
from autograder.audit.section import Promise, Section, Table, Tell, nobody
from autograder.core import Assignment, Reject, Values
from autograder.intake import metadata, submission
from autograder.sandbox import wire
from autograder.sandbox.faults import Fault
from autograder.sandbox.guest import notebooks
from autograder.text import many

SEED = 11
CHUNK = 1000
"""Inputs that are tried together: one line of the journal."""
LIMIT = 2.0
"""CPU seconds for one input, of at most 64 KB: the least that a student's ask may take is five times as long."""
SLOW = 10 * LIMIT
"""After so many an input is given up."""
OBJECT = 16
"""Bytes of the smallest object that Python allocates. What kept anything of each input would grow by more, so less
than this for each input on average is no growth."""
MOST = 64 * 1024


class TooSlow(BaseException):
    """An input was given up. No `except Exception` of a reader may take it for a fault of the file."""


class Unread(Exception):
    """A probe told what keeps the file from being read."""


@dataclass(frozen=True)
class Target:
    """Something that reads a stranger's bytes.

    `make` gives input number n's bytes from a generator; `read` returns, or raises one of `documented`, or is at fault.
    """

    id: str
    what: str
    inputs: int
    make: Callable[[random.Random], bytes]
    read: Callable[[bytes], object]
    documented: tuple[type[Exception], ...] = ()


# --------------------------------------------------------------------------------------------- mutation

NUMBERS = (b"0", b"-1", b"4294967296", b"9" * 30, b"1e999", b"-0.0", b"NaN", b"0.1", b"true", b"null")


def mutated(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the seeds with one to eight changes: bits, cuts, repetitions, words of the format, parts of others."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 8)):
        at = rng.randint(0, len(data))
        end = min(len(data), at + rng.choice((1, 2, 4, 16, 64, 1024)))
        match rng.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * rng.choice((1, 2, 50))
            case 3:
                data[at:at] = rng.choice(words)
            case 4:
                data[at:end] = rng.choice(words)
            case 5:
                data[at:at] = rng.choice(NUMBERS)
            case 6:
                other = rng.choice(seeds)
                begin = rng.randint(0, len(other))
                data[at:end] = other[begin : begin + rng.choice((4, 64, 1024))]
            case _:
                data[at:end] = rng.randbytes(rng.choice((1, 4, 32)))
    return bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.05 else data)[:MOST]


# ----------------------------------------------------------------------------------------------- frames

HELD: tuple[Values, ...] = (
    {"z": np.arange(6, dtype=np.float32).reshape(2, 3), "ok": np.array([True, False]), "n": 3, "s": "text"},
    {"empty": np.zeros((0, 4)), "scalar": np.full((), np.nan), "x": 1.5, "truth": True},
    {f"case{n}.{name}": n for n in range(20) for name in ("m", "v")},
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

UTILS, VAE = "gan_vae/utils.py", "gan_vae/models/vae.py"
PIECES = (
    *("gan_vae", "utils.py", "models", "vae.py", "..", ".", "", "/", "\\", "C:", "A", "é", ".given", "data", "~", "\n"),
    *("\x1b[31m", "\u202e", "\0", "x" * 300, "__MACOSX", "._utils.py", "=cmd", " ", "x.zip", "utils (1).py", "x.py"),
    *("policy_gradient.ipynb", "Copy of policy_gradient.ipynb", "vae_samples.png", "answers.toml", "UTILS.PY"),
    *("policy_gradient.ipynb.txt", "utils.py ", "utils.py.bak", "answers.toml (1)", "wandb", "venv", "node_modules"),
    *("submission", "src", "\u200d", "\u200c", "\u00ad", "\ue000", "\U000e0041", ".packages", "x.ipynb", "data.py"),
)
ZIP_WORDS = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"\xff" * 4, b"\0" * 8, b"../", b"gan_vae/utils.py", b"\x0c\0"]


def _name(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice((UTILS, VAE))
    return rng.choice(("/", "/", "\\")).join(rng.choices(PIECES, k=rng.choice((1, 2, 3, 4, 20))))


def _zip(rng: random.Random, *, inner: bool = True) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for _ in range(rng.randrange(8)):
            entry = zipfile.ZipInfo("x")
            entry.filename = _name(rng)
            entry.external_attr = rng.choice((stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO, 0)) << 16
            nested = inner and entry.filename.endswith(".zip")
            data = _zip(rng, inner=False) if nested else rng.choice((b"", b"x = 1\n", b"y" * 2000))
            with contextlib.suppress(ValueError):  # zipfile itself refuses to write some names
                archive.writestr(entry, data)
    return buffer.getvalue()


@cache
def _zips() -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        return [_zip(random.Random(f"zip {number}")) for number in range(50)]


def archive_of(rng: random.Random) -> bytes:
    """A zip of odd names, links and zips, and in three of four cases damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _zip(rng) if rng.random() < 0.25 else mutated(rng, _zips(), ZIP_WORDS)


def folder_of(rng: random.Random) -> bytes:
    """A folder, as JSON: names (in Latin-1, so that any bytes can be meant) and kinds."""
    entries = []
    for _ in range(rng.randrange(8)):
        parts = [rng.choice(PIECES) if rng.random() < 0.7 else rng.randbytes(4).decode("latin-1") for _ in range(3)]
        name = rng.choice((UTILS, VAE)) if rng.random() < 0.2 else "/".join(parts[: rng.randint(1, 3)])
        entries.append((name, rng.choice(("file", "file", "file", "link", "fifo", "folder"))))
    return json.dumps(entries).encode()


@cache
def _code() -> Assignment:
    """The homework's code with a template without files, which would be copied for each of thousands of uploads."""
    assignment: Assignment = importlib.import_module("autograder.hw11").ASSIGNMENT
    return replace(assignment, template=Path("/nonexistent"))


def _received(make: Callable[[Path], Path]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        box = Path(folder, "walls", "box")
        box.mkdir(parents=True)
        upload = make(Path(folder))
        try:
            found = submission.receive(upload, _code(), box)
            words: Sequence[str] = found.remarks
        except Reject as fault:
            words = (str(fault),)
            raise
        finally:
            assert sorted(path.name for path in Path(folder).iterdir()) == sorted({"walls", upload.name})
            assert [path.name for path in box.parent.iterdir()] == ["box"]
            for path in box.rglob("*"):
                kind = path.lstat().st_mode
                assert stat.S_ISDIR(kind) or (stat.S_ISREG(kind) and path.lstat().st_nlink == 1), path
        assert all(character.isprintable() for character in "".join(words)), words


def read_zip(data: bytes) -> None:
    """Receives it as an upload, and looks at what was written."""

    def make(folder: Path) -> Path:
        (folder / "upload.zip").write_bytes(data)
        return folder / "upload.zip"

    _received(make)


def read_folder(data: bytes) -> None:
    """Makes the folder and receives it."""

    def make(folder: Path) -> Path:
        (folder / "upload").mkdir()
        for name, kind in json.loads(data):
            place = os.path.join(os.fsencode(folder / "upload"), name.replace("\0", "0").encode("utf-8", "replace"))  # noqa: PTH118
            inside = os.path.abspath(place).startswith(os.fsencode(folder / "upload") + b"/")  # noqa: PTH100
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
        return folder / "upload"

    _received(make)


# -------------------------------------------------------------------------------------------- notebooks

SOURCES = (
    "import torch\nfrom math import *\n",
    "def policy_gradient_loss(logprobs, actions, rewards):\n    return -(logprobs * rewards).mean()\n",
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
    assert all(one.text for one in source.definitions(["policy_gradient_loss", "x"]))


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
        assert not set(one.folder) & set("/\\\0")


# ------------------------------------------------------------------------ answers, the log and pictures


@cache
def _answers() -> list[bytes]:
    whole = (_code().reference / "answers.toml").read_bytes()
    return [
        whole,
        *(b"[" + part for part in whole.split(b"\n[")[1:]),
        b'[vae]\nnelbo = 102.30\nkl = "17.5 %"\nrec = 85',
    ]


TOML_WORDS = [
    *(b"[", b"]", b"[[", b"]]", b"=", b'"', b'"""', b"'", b"'''", b"#", b"\n", b".", b",", b"{", b"}", b"\\u", b"\\U"),
    *(b"[vae]\n", b"[distributions.P]\n", b"seed = ", b"inf", b"nan", b"0x", b"1979-05-27T07:32:00Z", b"a." * 300),
    *(b"[" * 300, b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"1_000", b"\xe2\x80\x9c", b"\xc2\xa0", b"\r"),
]


def answers(rng: random.Random) -> bytes:
    return mutated(rng, _answers(), TOML_WORDS)


@cache
def _logs() -> list[bytes]:
    whole = json.loads((_code().reference / "submission_log.json").read_text())
    small = {key: value[:4] if isinstance(value, list) else value for key, value in whole.items()}
    short = {key: value for key, value in small.items() if len(json.dumps(value)) < 6000}
    odd = {"references": ["a b", ""], "scratch.predictions": ["a", "b"], "t5.predictions": ["a b", "é"],
           "scratch.rouge": {"rouge1": 1, "rouge2": 0.5, "rougeL": 3}, "t5.rouge": {"rouge1": 50},
           "transformer_layer.a.shape": [2, 2], "transformer_layer.a.value": [[1, 2], [3, 4.5]]}  # fmt: skip
    return [json.dumps(short).encode(), json.dumps(odd).encode()]


LOG_WORDS = [
    *(b'"references"', b'"scratch.predictions"', b'"t5.rouge"', b'"transformer_layer.a.value"', b'"transformer_layer.'),
    *(b'.shape"', b"[", b"]", b"{", b"}", b":", b",", b'"', b"[[[", b"[]", b"{}", b"\\u0000", b"\\ud800", b"\xff"),
    *(b"Infinity", b"[" * 300, b'{"a":' * 300, b"\xff\xfe", b"\xef\xbb\xbf", b"9" * 400, b"1e400", b'""'),
]


def log(rng: random.Random) -> bytes:
    return mutated(rng, _logs(), LOG_WORDS)


@cache
def _pictures() -> list[bytes]:
    from PIL import Image

    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (56, 84), np.uint8))
    forms: list[tuple[Any, str, dict[str, Any]]] = [
        *((grey.convert(mode), "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        (grey, "PNG", {"save_all": True, "append_images": [grey]}),
        (grey, "JPEG", {}),
        (grey.convert("RGB"), "JPEG", {"progressive": True}),
        (grey.convert("CMYK"), "JPEG", {}),
    ]
    made = []
    for image, form, options in forms:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        made.append(buffer.getvalue())
    return made


PICTURE_WORDS = [
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"zTXt", b"iCCP", b"acTL", b"eXIf", b"\xff\xd8", b"\xff\xda"),
    *(b"\xff\xc0", b"\xff\xc2", b"\xff\xe1", b"\xff\xd9", b"\0\0\x7f\xff", b"\x7f\xff\xff\xff", b"\0" * 8),
]


def picture(rng: random.Random) -> bytes:
    """A damaged picture. Of a PNG the checksums are often made to fit again, or nothing behind them would be met."""
    data = mutated(rng, _pictures(), PICTURE_WORDS)
    return _summed(data) if rng.random() < 0.6 else data


def _summed(data: bytes) -> bytes:
    """A PNG with right checksums, as far as its chunks can be told."""
    import zlib

    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        out += data[at:end] + zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(out + data[at:])


def _told(read: Callable[[Any], Mapping[str, Any]], name: str) -> Callable[[bytes], None]:
    """A probe of a file, as a worker runs it: what it tells must fit a frame."""

    def reading(data: bytes) -> None:
        from autograder.sandbox.guest.student import Student

        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            Path(folder, name).write_bytes(data)
            with warnings.catch_warnings():
                told = read(Student(Path(folder)))
        wire.encode(wire.Frame("fuzzing", values=told))
        for kind in ("file.kind", "picture0.kind"):
            if told.get(kind):
                raise Unread(str(told[kind]))

    return reading


def _probe(module: str, function: str, name: str, **given: Any) -> Callable[[bytes], None]:
    """A probe of the homework, imported when it is used: it needs torch."""

    def read(student: Any) -> Mapping[str, Any]:
        probe = getattr(importlib.import_module(f"autograder.hw11.{module}"), function)
        told: Mapping[str, Any] = probe(given, student)
        return told

    return _told(read, name)


TARGETS = (
    Target("frames", "frames of a worker (wire.py)", 50_000, frame, read_frame, (wire.Breach,)),
    Target("zips", "zips (submission.py)", 12_000, archive_of, read_zip, (Reject,)),
    Target("folders", "folders (submission.py)", 4_000, folder_of, read_folder, (Reject,)),
    Target("metadata", "a class's metadata (metadata.py)", 12_000, metadata_of, read_metadata, (Reject,)),
    Target("notebooks", "notebooks (notebooks.py)", 12_000, notebook, read_notebook, (notebooks.Unreadable,)),
    Target("answers", "answers.toml (answers/probes.py)", 12_000, answers,
           _probe("answers.probes", "answers", "answers.toml"), (Unread,)),
    Target("log", "submission_log.json (log/probes.py)", 8_000, log,
           _probe("log.probes", "log", "submission_log.json"), (Unread,)),
    Target("pictures", "pictures (pictures/probes.py)", 8_000, picture,
           _probe("pictures.probes", "pictures", "vae_samples.png", file="vae_samples.png"), (Unread,)),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ trying


def made(target: Target, number: int) -> bytes:
    """Input number `number`."""
    return target.make(random.Random(f"{SEED} {target.id} {number}"))


@dataclass(frozen=True)
class Tried:
    """Some inputs of one target: how many were read, the CPU seconds, the slowest one's, and what was at fault."""

    inputs: int
    read: int
    seconds: float
    slowest: float
    faults: tuple[str, ...]


def tried(target: Target, numbers: Sequence[int], *, limit: float = LIMIT) -> Tried:
    """Reads these inputs. At fault is what raises anything undocumented or takes longer than `limit` CPU seconds."""
    read, slowest, total, faults = 0, 0.0, 0.0, []
    with _given_up(10 * limit):
        for number in numbers:
            data = made(target, number)
            signal.setitimer(signal.ITIMER_PROF, 10 * limit)
            started = time.process_time()
            try:
                target.read(data)
                read += 1
            except target.documented as refusal:
                if not str(refusal):
                    faults.append(f"{target.id} {number}: {type(refusal).__name__} without a sentence")
            except (Exception, TooSlow) as error:
                faults.append(f"{target.id} {number}: {type(error).__name__}: {error}"[:300])
            spent = time.process_time() - started
            if spent > limit:
                faults.append(f"{target.id} {number}: {spent:.1f} CPU s")
            total, slowest = total + spent, max(slowest, spent)
    return Tried(len(numbers), read, total, slowest, tuple(faults))


@contextlib.contextmanager
def _given_up(seconds: float) -> Iterator[None]:
    """While it lasts, the timer of CPU time raises TooSlow."""

    def stop(_number: int, _frame: object) -> None:
        raise TooSlow(f"given up after {seconds:g} CPU s")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def growth(target: Target, count: int) -> float:
    """Bytes that are kept for each input, on average of `count`, after as many others; traced in Python and numpy.

    The lesser of two such growths, one after the other: a late import or a small cache grows once, a leak twice.
    """

    def kept(first: int) -> int:
        for number in (*range(first, first + count), *range(8)):  # the last ones fill small caches alike each time
            with contextlib.suppress(*target.documented):
                target.read(made(target, number))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        one, two, three = (kept(target.inputs + block * count) for block in range(3))
        return min(two - one, three - two) / count
    finally:
        tracemalloc.stop()


# -------------------------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class Found:
    """By target: what was tried, and the bytes kept for each input."""

    tried: Mapping[str, Tried]
    kept: Mapping[str, float]


def _chunk(id: str, numbers: Sequence[int]) -> dict[str, Any]:
    """A row of the journal; without numbers, of the growth."""
    target = next(target for target in TARGETS if target.id == id)
    if not numbers:
        return {"kept": growth(target, CHUNK // 2)}
    found = tried(target, numbers)
    return {**vars(found), "faults": list(found.faults)}


def measured(homework: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """All inputs of all targets, or every n-th chunk of them; and each target's growth."""
    grader = version.of(importlib.import_module(homework).ASSIGNMENT)
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    journal = Journal(out / "fuzzing.jsonl")
    plan: dict[tuple[str, ...], tuple[str, list[int]]] = {}
    for target in TARGETS:
        plan[target.id, "growth", own, grader] = target.id, []
        for first in range(0, target.inputs, CHUNK * every):
            numbers = list(range(first, min(first + CHUNK, target.inputs)))
            plan[target.id, f"{first}", own, grader] = target.id, numbers
    rows = list(zip(plan, parallel.kept(journal, _chunk, plan, jobs, tell, apart=True), strict=True))
    return Found(
        {
            target.id: _sum([row for key, row in rows if key[:1] == (target.id,) and "read" in row])
            for target in TARGETS
        },
        {key[0]: row["kept"] for key, row in rows if "kept" in row},
    )


def _sum(rows: Sequence[Mapping[str, Any]]) -> Tried:
    return Tried(
        sum(row["inputs"] for row in rows),
        sum(row["read"] for row in rows),
        sum(row["seconds"] for row in rows),
        max(row["slowest"] for row in rows),
        tuple(fault for row in rows for fault in row["faults"]),
    )


def section(found: Found) -> Section:
    """How many inputs, what became of them, and what they cost."""
    faults = [fault for one in found.tried.values() for fault in one.faults]
    inputs = sum(one.inputs for one in found.tried.values())
    slowest = max(one.slowest for one in found.tried.values())
    grown = {id: kept for id, kept in found.kept.items() if kept >= OBJECT}
    return Section(
        "fuzzing",
        "Damaged inputs",
        "What reads a stranger's bytes gets seeded damage: each input is either read or refused with a sentence.",
        (
            Promise(
                "every input is read, or refused by the exception that is documented",
                f"{many(inputs, 'input')}, {len(faults)} at fault" + "".join(f"; {one}" for one in faults[:5]),
                not faults and inputs > 0,
            ),
            Promise(
                f"none takes {LIMIT:g} CPU seconds", f"the slowest {slowest:.2f} s", slowest < LIMIT
            ),
            Promise(
                f"nothing is kept: less than {OBJECT} bytes for each input, the size of the smallest object",
                "; ".join(f"{id} {kept:.0f} bytes" for id, kept in grown.items())
                or f"at most {max(found.kept.values()):.1f} bytes",
                not grown,
            ),
        ),
        (
            Table(
                "Inputs",
                ("what", "inputs", "refused", "read", "CPU s", "slowest, CPU ms", "kept, bytes for each"),
                tuple(
                    (
                        target.what,
                        (one := found.tried[target.id]).inputs,
                        one.inputs - one.read,
                        one.read,
                        one.seconds,
                        1000 * one.slowest,
                        found.kept[target.id],
                    )
                    for target in TARGETS
                ),
            ),
        ),
    )  # fmt: skip
