"""Files as people read them: numbers, what was added and removed, notebooks' cells, pictures; quick for any file."""

from __future__ import annotations

import base64
import json
import time

import pytest

from autograder.classroom import code
from tests.classroom.test_review import picture

TEMPLATE = "".join(f"line {number}\n" for number in range(40)).encode()


def lines(file: code.Shown, *kinds: str) -> list[tuple[int, str]]:
    blocks = [block for part in file.parts for block in (part.blocks if isinstance(part, code.Fold) else [part])]
    return [(line.number, line.text) for block in blocks if block.kind in kinds for line in block.lines]


def test_added_and_removed_lines_and_all_others_with_their_numbers() -> None:
    mine = TEMPLATE.replace(b"line 20\n", b"mine\nmore\n").replace(b"line 30\n", b"")
    file = code.shown("a.py", mine, TEMPLATE)
    assert (file.state, file.added, file.removed) == ("changed", 2, 2)
    assert lines(file, "added") == [(21, "mine"), (22, "more")]
    assert lines(file, "removed") == [(21, "line 20"), (31, "line 30")]
    own = lines(file, "same", "added")
    assert [number for number, _ in own] == list(range(1, 41))
    assert [text for _, text in own] == mine.decode().splitlines()
    folds = [part for part in file.parts if isinstance(part, code.Fold)]
    assert [fold.count for fold in folds] == [17, 6] and folds[0].blocks[0].start == 1


@pytest.mark.parametrize(
    ("mine", "template", "state"),
    [
        (TEMPLATE, TEMPLATE, "as it was handed out"),
        (TEMPLATE.replace(b"\n", b"\r\n"), TEMPLATE, "as it was handed out"),
        (b"\xef\xbb\xbf" + TEMPLATE, TEMPLATE, "as it was handed out"),
        (TEMPLATE + b"x", TEMPLATE, "changed"),
        (b"", TEMPLATE, "changed"),
        (TEMPLATE, None, "not in the template"),
    ],
)
def test_how_a_file_stands_to_the_template(mine: bytes, template: bytes | None, state: str) -> None:
    file = code.shown("a.py", mine, template)
    assert file.state == state and file.touched == (state != "as it was handed out")


def notebook(*cells: tuple[str, str], outputs: list | None = None) -> bytes:
    made = [
        {"cell_type": kind, "source": source.splitlines(keepends=True), "outputs": outputs or []}
        for kind, source in cells
    ]
    return json.dumps({"cells": made, "nbformat": 4}).encode()


def test_a_notebooks_cells_are_numbered_as_faults_name_them() -> None:
    template = notebook(
        ("markdown", "# Task"), ("code", "import torch\n"), ("code", ""), ("code", "def f():\n    pass\n")
    )
    mine = notebook(
        ("markdown", "# Task"), ("code", "import torch\n"), ("code", ""), ("code", "def f():\n    return 1\n")
    )
    file = code.shown("n.ipynb", mine, template)
    assert lines(file, "heading") == [(0, "text"), (0, "code cell 1"), (0, "code cell 2")]
    assert lines(file, "added") == [(2, "    return 1")] and lines(file, "removed") == [(2, "    pass")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"cells": 3}',
        b'{"cells": [3]}',
        b'{"cells": [{"source": {}}]}',
        b"[" * 100_000,
        b"\xff\0",
    ],
)
def test_no_file_that_is_called_a_notebook_breaks_anything(data: bytes) -> None:
    code.shown("n.ipynb", data, TEMPLATE)
    assert code.pictures("n.ipynb", data) == []


@pytest.mark.parametrize(
    "mine",
    [
        b"x\n" * 200_000,
        b"".join(b"a%d\n" % (number % 7) for number in range(2000)),
        b"".join(b"line %d\n" % (39 - number % 40) for number in range(2000)),
        b"y" * 4_000_000,
        b"\n" * 1_000_000,
        bytes(range(256)) * 5000,
    ],
)
def test_no_file_takes_long(mine: bytes) -> None:
    started = time.process_time()
    for template in (TEMPLATE, TEMPLATE * 50, mine[::-1][:200_000]):
        file = code.shown("a.py", mine, template)
        assert len(lines(file, "same", "added")) <= code.MOST_LINES
        assert all(len(text) <= code.LONGEST for _, text in lines(file, "same", "added", "removed"))
    assert time.process_time() - started < 10


def test_only_what_begins_as_a_picture_and_can_be_drawn_is_one() -> None:
    assert [one.kind for one in code.pictures("a.png", picture())] == ["image/png"]
    jpeg = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00\xff\xd9"
    assert [one.kind for one in code.pictures("a.jpg", jpeg)] == ["image/jpeg"]
    for data in (b"", b"<svg/>", b"GIF89a", picture(60000, 60000), picture(0, 4), b"\xff\xd8\xff" * 100, picture()[:20],
                 b"\x89PNG\r\n\x1a\n" + b"\0" * 100, picture() + b"\0" * code.MOST_PICTURE):  # fmt: skip
        assert code.pictures("a.png", data) == []
    drawn = [
        {"data": {"image/png": base64.b64encode(picture()).decode(), "text/html": "<script>"}},
        {"data": {"image/png": 3}},
    ]
    drawn += [{"data": {"image/png": "no base64"}}, {"data": None}, 7]
    found = code.pictures("n.ipynb", notebook(("code", "plot()"), outputs=drawn))
    assert [(one.name, one.data) for one in found] == [("n.ipynb, code cell 1", picture())]
