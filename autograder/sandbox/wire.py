"""Frames of plain values over a socket: the only thing that crosses the sandbox's border.

A frame is `MAGIC, header length (u32), body length (u64)`, then a JSON header, then the arrays' raw
bytes one after the other. The header is one flat object: `{"id": ..., "values": {name: scalar or
{"dtype": ..., "shape": [...]}}}` or `{"id": ..., "fault": {...}}`; a reply may add `"further": 1`. There is no nesting
to recurse into, no type to instantiate and no code to run. Every length is checked before anything is allocated, every
type exactly, every byte is consumed; any breach raises `Breach`.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from autograder.core import Array, Value, Values
from autograder.sandbox.faults import Fault

MAGIC = b"hw!1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER = 256 * 1024
MAX_BODY = 16 * 1024 * 1024
MAX_VALUES = 1024
MAX_DIMENSIONS = 6
MAX_STRING = 64 * 1024
MAX_INTEGER = 2**63
MAX_RUNG = 9
DTYPES = {
    name: np.dtype(code)
    for name, code in {
        "float32": "<f4",
        "float64": "<f8",
        "float16": "<f2",
        "int64": "<i8",
        "int32": "<i4",
        "uint8": "|u1",
        "bool": "|b1",
    }.items()
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_NAME = re.compile(r"[A-Za-z0-9_.:\-]{1,120}")


class Breach(Exception):
    """The bytes are not a frame. The sentence says what was wrong with them."""


@dataclass(frozen=True)
class Frame:
    """A request or a reply. `id` is random and chosen by the judge; a reply repeats it.

    `further` is the rung of the ladder (see notebooks.Source) that would run more of a notebook, 0 where none would.
    """

    id: str
    values: Values = field(default_factory=dict)
    fault: Fault | None = None
    further: int = 0


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. Raises `Breach` for what a frame cannot hold."""
    blobs: list[bytes] = []
    header: dict[str, Any] = {"id": frame.id}
    if frame.further:
        header["further"] = frame.further
    if frame.fault is not None:
        header["fault"] = vars(frame.fault)
    else:
        header["values"] = {name: _pack(name, value, blobs) for name, value in frame.values.items()}
    try:
        text = json.dumps(header, allow_nan=False).encode()
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise Breach(f"the values cannot be written as a frame: {type(error).__name__}") from None
    body = b"".join(blobs)
    if len(text) > MAX_HEADER or len(body) > MAX_BODY:
        raise Breach(f"the values are too large for a frame ({len(text)} + {len(body)} bytes)")
    return PREFIX.pack(MAGIC, len(text), len(body)) + text + body


def _pack(name: str, value: Value, blobs: list[bytes]) -> Any:
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value).reshape(value.shape)  # the first makes 0-d arrays 1-d
        little = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        if little.dtype not in _NAMES:
            raise Breach(f"{name} has dtype {value.dtype}, which a frame cannot hold")
        blobs.append(little.tobytes())
        return {"dtype": _NAMES[little.dtype], "shape": list(value.shape)}
    if type(value) is float and not math.isfinite(value):
        return _pack(name, np.asarray(value), blobs)
    if type(value) in (bool, int, float, str):
        return value
    raise Breach(f"{name} is a {type(value).__name__}, which a frame cannot hold")


def lengths(prefix: bytes, most: int = MAX_BODY) -> tuple[int, int]:
    """The header's and the body's lengths that a frame's first 16 bytes announce, checked.

    `most` are the bytes of all arrays that an answer can have reason to hold.
    """
    magic, header, body = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise Breach("the bytes do not begin like a frame")
    if header > MAX_HEADER or body > MAX_BODY:
        raise Breach(f"the frame announces {header} + {body} bytes, more than is allowed")
    if body > most:
        raise Breach(f"it holds {megabytes(body)} of numbers, but at most {megabytes(most)} were expected")
    return header, body


def megabytes(count: int) -> str:
    """Bytes as a reader wants them: "12 MB", "0.08 MB"."""
    return f"{count / 1e6:.2g} MB" if count < 1e8 else f"{count / 1e6:.0f} MB"


def decode(header: bytes, body: bytes) -> Frame:
    """The frame in these bytes. Raises `Breach`, and nothing else, for anything that is not one."""
    try:
        tree = json.loads(
            header.decode("utf-8"),
            parse_constant=_refuse,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
    except Breach:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise Breach(f"the header is not the JSON of a frame ({type(error).__name__})") from None
    if type(tree) is not dict or type(tree.get("id")) is not str or len(tree["id"]) > 64:
        raise Breach("the header has no id")
    further = tree.pop("further", 0)
    if type(further) is not int or not 0 <= further <= MAX_RUNG:
        raise Breach("the header names a rung that there is not")
    if set(tree) == {"id", "fault"}:
        if body:
            raise Breach("a fault carries no arrays")
        return Frame(tree["id"], fault=_fault(tree["fault"]), further=further)
    if set(tree) != {"id", "values"} or type(tree["values"]) is not dict:
        raise Breach("the header holds neither values nor a fault")
    if len(tree["values"]) > MAX_VALUES:
        raise Breach("the frame holds too many values")
    values: dict[str, Value] = {}
    at = 0
    for name, item in tree["values"].items():
        if not _NAME.fullmatch(name):
            raise Breach("a value's name is not a plain name")
        if type(item) is dict:
            values[name], at = _array(item, body, at)
        elif (
            (type(item) is str and len(item) <= MAX_STRING)
            or type(item) in (bool, int)
            or (type(item) is float and math.isfinite(item))
        ):
            values[name] = item
        else:
            raise Breach("a value is neither plain nor an array")
    if at != len(body):
        raise Breach("the frame has bytes left over")
    return Frame(tree["id"], values=values, further=further)


def _array(item: dict[str, Any], body: bytes, at: int) -> tuple[Array, int]:
    if set(item) != {"dtype", "shape"} or type(item["dtype"]) is not str or item["dtype"] not in DTYPES:
        raise Breach("an array's description is not of the known form")
    dtype, shape = DTYPES[item["dtype"]], item["shape"]
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        raise Breach("an array's shape is not of the known form")
    count = extent = 1  # Python's integers: no overflow, and checked before anything is made
    for size in shape:
        if type(size) is not int or not 0 <= size <= MAX_BODY:
            raise Breach("an array's shape is not of the known form")
        count *= size
        extent *= size or 1  # numpy multiplies the strides of empty arrays too
    if extent > MAX_BODY:
        raise Breach("an array's shape is not of the known form")
    length = count * dtype.itemsize
    if at + length > len(body):
        raise Breach("an array is longer than the frame")
    flat = np.frombuffer(body, dtype=dtype, count=count, offset=at) if count else np.empty(0, dtype)
    if dtype == np.bool_ and np.any(flat.view(np.uint8) > 1):
        raise Breach("a boolean is neither 0 nor 1")
    return flat.reshape(shape), at + length


def _fault(item: Any) -> Fault:
    if type(item) is not dict or set(item) != {"kind", "text", "where", "trace"}:
        raise Breach("the fault is not of the known form")
    if any(type(part) is not str or len(part) > 2000 for part in item.values()):
        raise Breach("the fault is not of the known form")
    return Fault(**item)


def _refuse(_literal: str) -> NoReturn:
    raise Breach("the header holds NaN or infinity")


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= MAX_INTEGER:
        raise Breach("the header holds a huge integer")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise Breach("the header names something twice")
    return tree


def read(receive: Callable[[int], bytes]) -> Frame:
    """The next frame from `receive(n)`, which gives exactly n bytes or raises."""
    header, body = lengths(receive(PREFIX.size))
    return decode(receive(header), receive(body))
