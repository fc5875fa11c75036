"""Frames: what goes in comes out, and bytes that are not a frame are a Breach and nothing else."""

from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.sandbox import wire
from autograder.sandbox.faults import Fault
from autograder.sandbox.wire import PREFIX, Breach, Frame

often = settings(derandomize=True, database=None, deadline=None, max_examples=150)
names = st.from_regex(r"\A[A-Za-z0-9_.:\-]{1,120}\Z")
dtypes = st.sampled_from(sorted(wire.DTYPES))
shapes = hnp.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=4)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Any array that a frame holds: every dtype, 0-d and empty ones, either byte order, any layout."""
    array = draw(hnp.arrays(wire.DTYPES[draw(dtypes)], draw(shapes)))
    if draw(st.booleans()):
        array = array.astype(array.dtype.newbyteorder(">"))
    if draw(st.booleans()):
        array = array.T
    return array[::-1] if array.ndim and draw(st.booleans()) else array


integers = st.integers(-(2**63) + 1, 2**63 - 1)
scalars = st.one_of(st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40))
values = st.dictionaries(names, st.one_of(arrays(), scalars), max_size=5)
identities = st.text("0123456789abcdef", min_size=32, max_size=32)


def decode(data: bytes) -> Frame:
    """As the judge does: prefix, lengths, header, body, and nothing behind."""
    if len(data) < PREFIX.size:
        raise Breach("short")
    header, body = wire.lengths(data[: PREFIX.size])
    if len(data) != PREFIX.size + header + body:
        raise Breach("short or long")
    return wire.decode(data[PREFIX.size : PREFIX.size + header], data[PREFIX.size + header :])


def framed(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(wire.MAGIC, len(text), len(body)) + text + body


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype.newbyteorder("<") == other.dtype
            and one.shape == other.shape
            and one.astype(other.dtype).tobytes() == other.tobytes()
        )
    return type(one) is type(other) and one == other


@often
@given(identities, values)
def test_what_goes_in_comes_out(identity: str, content: dict[str, Any]) -> None:
    back = decode(wire.encode(Frame(identity, values=content)))
    assert back.id == identity
    assert back.fault is None
    assert list(back.values) == list(content)
    assert all(same(content[name], back.values[name]) for name in content)


@pytest.mark.parametrize("dtype", sorted(wire.DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (2, 0, 5), (1, 1, 1, 1, 1, 1), (2, 3)])
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, wire.DTYPES[dtype])
    back = decode(wire.encode(Frame("i", values={"a": array}))).values["a"]
    assert same(array, back)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_lacks_travel_as_arrays(value: float) -> None:
    back = decode(wire.encode(Frame("i", values={"a": value}))).values["a"]
    assert isinstance(back, np.ndarray)
    assert np.array_equal(back, np.float64(value), equal_nan=True)


@often
@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_faults_travel(kind: str, text: str, where: str) -> None:
    assert decode(wire.encode(Frame("i", fault=Fault(kind, text, where)))).fault == Fault(kind, text, where)


class Sly(str):
    """Not exactly a string."""


@pytest.mark.parametrize(
    "value",
    [
        None, object(), [1], {"a": 1}, lambda: 0, b"x", 1j, Sly("x"), np.float64(1.0), np.int64(1),
        np.array([object()]), np.array([1j]), np.array(["x"]), np.zeros(1, "f4,f4"), np.zeros(1, "M8[s]"),
        np.zeros(3, np.float128), 10**5000,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_a_frame_cannot_hold_is_refused_by_the_writer(value: Any) -> None:
    with pytest.raises(Breach):
        wire.encode(Frame("i", values={"a": value}))


# ---------------------------------------------------------------------------------- hostile bytes

GOOD = wire.encode(
    Frame(
        "0123456789abcdef",
        values={
            "z": np.arange(6, dtype=np.float32).reshape(2, 3),
            "ok": np.array([True, False]),
            "n": 3,
            "s": "text",
            "e": np.zeros((0, 4)),
        },
    )
)


def is_frame_or_breach(data: bytes) -> None:
    try:
        frame = decode(data)
    except Breach as breach:
        assert str(breach)
        return
    assert type(frame.id) is str
    for name, value in frame.values.items():
        assert wire._NAME.fullmatch(name)
        assert type(value) in (bool, int, float, str, np.ndarray)
        if isinstance(value, np.ndarray):
            assert value.dtype in wire._NAMES
            assert value.ndim <= wire.MAX_DIMENSIONS
            assert value.nbytes <= len(data)
        elif type(value) is int:
            assert abs(value) < wire.MAX_INTEGER
        elif type(value) is float:
            assert math.isfinite(value)


@often
@given(st.lists(st.integers(0, len(GOOD) * 8 - 1), min_size=1, max_size=6))
def test_flipped_bits(places: list[int]) -> None:
    data = bytearray(GOOD)
    for place in places:
        data[place // 8] ^= 1 << place % 8
    is_frame_or_breach(bytes(data))


@often
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=40))
def test_splices_and_truncations(start: int, end: int, filling: bytes) -> None:
    is_frame_or_breach(GOOD[:start] + filling + GOOD[end:])
    is_frame_or_breach(GOOD[:start])


@often
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=40))
def test_splices_with_honest_lengths(start: int, end: int, filling: bytes) -> None:
    header, _body = wire.lengths(GOOD[: PREFIX.size])
    text, blob = GOOD[PREFIX.size : PREFIX.size + header], GOOD[PREFIX.size + header :]
    is_frame_or_breach(framed(text[:start] + filling + text[end:], blob))
    is_frame_or_breach(framed(text, blob[:start] + filling + blob[end:]))


trees = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
        st.sampled_from(["float32", "bool", "object", "<f4"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["id", "values", "fault", "dtype", "shape", "kind", "text", "where"]), inner),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@often
@given(trees, st.binary(max_size=64))
def test_any_json_header(tree: Any, body: bytes) -> None:
    is_frame_or_breach(framed(tree, body))
    is_frame_or_breach(framed({"id": "i", "values": tree}, body))
    is_frame_or_breach(framed({"id": "i", "values": {"a": tree}}, body))
    is_frame_or_breach(framed({"id": "i", "fault": tree}, body))


@often
@given(st.sampled_from(sorted(wire.DTYPES)), st.lists(st.integers(-2, 2**40), max_size=8), st.binary(max_size=64))
def test_any_shape(dtype: str, shape: list[int], body: bytes) -> None:
    is_frame_or_breach(framed({"id": "i", "values": {"a": {"dtype": dtype, "shape": shape}}}, body))


@often
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    is_frame_or_breach(data)
    is_frame_or_breach(framed(data))


def header_of(values_text: str) -> bytes:
    return ('{"id": "i", "values": ' + values_text + "}").encode()


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"", b""),
        (b"[" * 200_000, b""),
        (b'{"a":' * 40_000, b""),
        (header_of("[" * 100_000 + "]" * 100_000), b""),
        (header_of('{"a": NaN}'), b""),
        (header_of('{"a": Infinity}'), b""),
        (header_of('{"a": -Infinity}'), b""),
        (header_of('{"a": 1e999}'), b""),
        (header_of('{"a": ' + "9" * 200_000 + "}"), b""),
        (header_of('{"a": 9223372036854775808}'), b""),
        (header_of('{"a": 1, "a": 2}'), b""),
        (b'{"id": "i", "id": "j", "values": {}}', b""),
        (header_of('{"a": {"dtype": "bool", "dtype": "bool", "shape": []}}'), b"\1"),
        (header_of('{"a": {"dtype": "bool", "shape": [2]}}'), b"\2\1"),
        (header_of('{"a": {"dtype": "bool", "shape": [1]}}'), b""),
        (header_of('{"a": {"dtype": "bool", "shape": [1]}}'), b"\1\1"),
        (header_of('{"a": {"dtype": "object", "shape": [1]}}'), b"\0" * 8),
        (header_of('{"a": {"dtype": "float32", "shape": [1,1,1,1,1,1,1]}}'), b"\0" * 4),
        (header_of('{"a": {"dtype": "float32", "shape": [true]}}'), b"\0" * 4),
        (header_of('{"a": {"dtype": "float32", "shape": [1.0]}}'), b"\0" * 4),
        (header_of('{"a": {"dtype": "float32", "shape": [-1, -1]}}'), b"\0" * 4),
        (header_of('{"a": {"dtype": "float32", "shape": [4294967296, 4294967296]}}'), b""),
        (header_of('{"a": {"dtype": "float32", "shape": [0, 67108864, 67108864]}}'), b""),
        (header_of('{"a": {"dtype": "float32", "shape": 3}}'), b""),
        (header_of('{"a": {"dtype": ["float32"], "shape": []}}'), b""),
        (header_of('{"a": null}'), b""),
        (header_of('{"a": []}'), b""),
        (header_of('{"": 1}'), b""),
        (header_of('{"a b": 1}'), b""),
        (header_of('{"a\\n": 1}'), b""),
        (header_of('{"' + "a" * 121 + '": 1}'), b""),
        (header_of(json.dumps("x")), b""),
        (header_of(json.dumps({"a": "x" * (wire.MAX_STRING + 1)})), b""),
        (header_of(json.dumps({f"a{i}": 1 for i in range(wire.MAX_VALUES + 1)})), b""),
        (b'{"id": 1, "values": {}}', b""),
        (b'{"id": "' + b"x" * 65 + b'", "values": {}}', b""),
        (b'{"values": {}}', b""),
        (b'{"id": "i", "values": {}, "more": 1}', b""),
        (b'{"id": "i", "values": {}, "fault": {"kind": "", "text": "", "where": "", "trace": ""}}', b""),
        (b'{"id": "i", "fault": {"kind": "", "text": ""}}', b""),
        (b'{"id": "i", "fault": {"kind": "", "text": 1, "where": "", "trace": ""}}', b""),
        (b'{"id": "i", "fault": {"kind": "", "text": "", "where": "", "trace": ""}}', b"x"),
        (b'{"id": "i", "fault": {"kind": "", "text": "' + b"x" * 2001 + b'", "where": "", "trace": ""}}', b""),
        (b"\xff\xfe", b""),
        (b"\xef\xbb\xbf{}", b""),
        (b'{"id": "i", "values": {}} trailing', b""),
    ],
    ids=lambda part: repr(part[:48]),
)
def test_hostile_headers(header: bytes, body: bytes) -> None:
    with pytest.raises(Breach):
        wire.decode(header, body)


@pytest.mark.parametrize(
    ("magic", "header", "body"),
    [
        (b"hw!2", 2, 0),
        (b"\0\0\0\0", 0, 0),
        (wire.MAGIC, wire.MAX_HEADER + 1, 0),
        (wire.MAGIC, 2**32 - 1, 2**64 - 1),
        (wire.MAGIC, 2, wire.MAX_BODY + 1),
    ],
)
def test_prefixes_are_refused_before_anything_is_read(magic: bytes, header: int, body: int) -> None:
    def receive(count: int) -> bytes:
        assert count == PREFIX.size, "a length was believed"
        return PREFIX.pack(magic, header, body)

    with pytest.raises(Breach):
        wire.read(receive)


HUNGRY = [
    framed(b"[" * wire.MAX_HEADER),
    framed(b'{"a":' * (wire.MAX_HEADER // 5)),
    framed(b'"' + b"\\u0041" * (wire.MAX_HEADER // 6 - 1) + b'"'),
    framed(b"[" + b"[]," * (wire.MAX_HEADER // 3 - 2) + b"[]]"),
    framed(b"[" + b"0," * (wire.MAX_HEADER // 2 - 2) + b"0]"),
    framed(b"9" * wire.MAX_HEADER),
    framed(header_of('{"a": {"dtype": "uint8", "shape": [67108864]}}')),
    framed(header_of('{"a": {"dtype": "float64", "shape": [0, 67108864, 1]}}')),
    framed(header_of('{"a": {"dtype": "uint8", "shape": [1000000]}}'), bytes(1_000_000)),
]


@pytest.mark.parametrize("data", HUNGRY, ids=range(len(HUNGRY)))
def test_no_more_memory_than_the_bytes_justify(data: bytes) -> None:
    """A JSON list costs Python up to 64 bytes for 3 characters; 128 bytes a byte is a bound with room to spare."""
    tracemalloc.start()
    try:
        is_frame_or_breach(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    header = wire.lengths(data[: PREFIX.size])[0]
    assert peak <= 128 * header + 4 * len(data) + 1_000_000
