"""Seeded damage: files with a few bytes changed, and reading them as a worker does. Formats are made of this."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.sandbox import wire

MOST = 64 * 1024
"""Bytes of an input."""
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where thousands of small folders are made and removed."""


class Unread(Exception):
    """A probe told what keeps the file from being read."""


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


def told(read: Callable[[Any], Mapping[str, Any]], name: str) -> Callable[[bytes], None]:
    """A probe of a file, as a worker runs it: what it tells must fit a frame."""

    def reading(data: bytes) -> None:
        from autograder.sandbox.guest.student import Student

        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            Path(folder, name).write_bytes(data)
            with warnings.catch_warnings():
                found = read(Student(Path(folder)))
        wire.encode(wire.Frame("fuzzing", values=found))
        for kind in ("file.kind", "pictures.0.kind"):
            if found.get(kind):
                raise Unread(str(found[kind]))

    return reading
