"""Damaged inputs to what homework 11 reads of strangers: the answers, the log and pictures."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from autograder.audit.damage import Unread, mutated, told
from autograder.audit.homework import Target
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.guest.student import Student


@cache
def _answers() -> list[bytes]:
    whole = (ASSIGNMENT.reference / "answers.toml").read_bytes()
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
    whole = json.loads((ASSIGNMENT.reference / "submission_log.json").read_text())
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


def _read_answers(student: Student) -> Mapping[str, Any]:
    from autograder.hw11.answers import probes

    return probes.answers({}, student)


def _read_log(student: Student) -> Mapping[str, Any]:
    from autograder.hw11.log import probes

    return probes.log({}, student)


def _read_picture(student: Student) -> Mapping[str, Any]:
    from autograder.hw11.pictures import probes

    return probes.pictures({"file": PICTURE}, student)


PICTURE = "vae_samples.png"
TARGETS = (
    Target(
        *("answers", "answers.toml (answers/probes.py)", 12_000),
        *(answers, told(_read_answers, "answers.toml"), (Unread,)),
    ),
    Target(
        *("log", "submission_log.json (log/probes.py)", 8_000),
        *(log, told(_read_log, "submission_log.json"), (Unread,)),
    ),
    Target(
        *("pictures", "pictures (pictures/probes.py)", 8_000),
        *(picture, told(_read_picture, PICTURE), (Unread,)),
    ),
)
"""Their probes are imported when they are used: they need torch."""
