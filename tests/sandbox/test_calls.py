"""Where code raises: the chain of the student's own lines in results.json, terminal and pages, never ours."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from rich.text import Text

from autograder.message import MOST_CALLS, Call, Message
from autograder.output import pages, terminal
from autograder.sandbox.faults import calls, traced
from autograder.sandbox.guest.student import calls_of
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers
from tests.helpers import UTILS, solved

pytestmark = pytest.mark.sandbox


def raised(workspace: Path, source: str) -> BaseException:
    """What the function `f` of a file of the submission raises."""
    import linecache

    (workspace / "a.py").write_text(source)
    linecache.cache["a.py"] = (len(source), None, source.splitlines(keepends=True), "a.py")
    space: dict[str, Any] = {}
    exec(compile(source, "a.py", "exec"), space)  # a test's own code
    try:
        space["f"]()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


CHAINS = {
    "one": ("def f():\n    return 1 / 0\n", [("a.py, line 2 (in f)", "return 1 / 0", "")]),
    "a helper": (
        "def g(x):\n    return x.no\ndef f():\n    return g(\n        1)\n",
        [("a.py, line 4 (in f)", "return g(", ""), ("a.py, line 2 (in g)", "return x.no", "")],
    ),
    "four": (
        "def i(): 1 / 0\ndef h(): i()\ndef g(): h()\ndef f(): g()\n",
        [("a.py, line 3 (in g)", "def g(): h()", ""), ("a.py, line 2 (in h)", "def h(): i()", ""),
         ("a.py, line 1 (in i)", "def i(): 1 / 0", "")],
    ),
    "recursion": (
        "def g(n):\n    return g(n - 1) if n else 1 / 0\ndef f():\n    return g(50)\n",
        [("a.py, line 4 (in f)", "return g(50)", ""), ("a.py, line 2 (in g)", "return g(n - 1) if n else 1 / 0", "")],
    ),
    "a library between": (
        "def g(x):\n    return x / 0\ndef f():\n    return sorted([1], key=g)\n",
        [("a.py, line 4 (in f)", "return sorted([1], key=g)", ""), ("a.py, line 2 (in g)", "return x / 0", "")],
    ),
    "a cause": (
        "def g():\n    return {}['k']\ndef f():\n    try:\n        g()\n    except KeyError as e:\n"
        "        raise ValueError('no') from e\n",
        [("a.py, line 7 (in f)", "raise ValueError('no') from e", ""),
         ("a.py, line 2 (in g)", "return {}['k']", "KeyError: 'k'")],
    ),
    "while another was handled": (
        "def f():\n    try:\n        {}['k']\n    except KeyError:\n        1 / 0\n",
        [("a.py, line 5 (in f)", "1 / 0", ""), ("a.py, line 3 (in f)", "{}['k']", "KeyError: 'k'")],
    ),
    "a cause that is hidden": (
        "def f():\n    try:\n        {}['k']\n    except KeyError:\n        raise ValueError('no') from None\n",
        [("a.py, line 5 (in f)", "raise ValueError('no') from None", "")],
    ),
    "a str that raises": (
        "class E(Exception):\n    def __str__(self): raise KeyError\n\ndef f():\n    raise ValueError from E()\n",
        [("a.py, line 5 (in f)", "raise ValueError from E()", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_the_chain_has_their_own_lines(name: str, tmp_path: Path) -> None:
    source, expected = CHAINS[name]
    found = calls_of(raised(tmp_path, source), tmp_path)
    assert [(one.place, one.source, one.error) for one in found] == expected
    assert calls(traced(found)) == tuple(found), "and so it comes through the wall"


def test_attributes_of_an_exception_are_code_that_may_raise(tmp_path: Path) -> None:
    class Odd(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]
            raise KeyError

        @property
        def __traceback__(self) -> TracebackType:  # type: ignore[override]
            raise KeyError

    assert calls_of(Odd(), tmp_path) == []


@pytest.mark.parametrize(
    "trace", ["", "\t\t", "a\n" * 99, "x\t" * 99, "<b>\t<script>\t[x](y)", "\x1b[31m\t0.123456789", "a" * 2000]
)
def test_what_a_worker_says_of_its_lines_is_cleaned(trace: str) -> None:
    found = calls(trace)
    assert len(found) <= MOST_CALLS
    for one in found:
        assert one.place and all(len(part) <= 160 for part in (one.place, one.source, one.error))
        assert not set(one.line) & set("<>\x1b\n\t") and "0.1234" not in one.line


HELPER = (
    "import torch\ndef _spread(v):\n    return v.squareroot()\ndef _noise(m, v):\n    try:\n        return _spread(v)\n"
    "    except AttributeError as error:\n        raise ValueError('no spread') from error\n"
    "def sample_gaussian(m, v):\n    return m + _noise(m, v)\n"
)


def test_students_see_the_chain_everywhere(sandbox: Sandbox) -> None:
    files = solved()
    files[UTILS] = HELPER.encode()
    graded = helpers.grade(sandbox, files)
    test = next(one for one in graded.document["tests"] if one["extra_data"]["check"] == "vae.sample.contract")
    message = Message.read(test["extra_data"]["message"])
    assert message.calls == (
        Call(f"{UTILS}, line 10 (in sample_gaussian)", "return m + _noise(m, v)"),
        Call(f"{UTILS}, line 8 (in _noise)", "raise ValueError('no spread') from error"),
        Call(f"{UTILS}, line 3 (in _spread)", "return v.squareroot()",
             "AttributeError: 'Tensor' object has no attribute 'squareroot'"),
    )  # fmt: skip
    assert f"    {UTILS}, line 10 (in sample_gaussian): return m + _noise(m, v)\n" in test["output"]
    assert "raised an exception at `gan_vae/utils.py`, line 8 (in `_noise`): ValueError: no spread" in test["output"]
    assert "autograder" not in test["output"] and "site-packages" not in test["output"]
    page = pages.html(message)
    assert page.count("<pre") == 1 and "return v.squareroot()" in page
    words = Text()
    terminal._add(words, message, "red")
    assert f"\n  {UTILS}, line 8 (in _noise): raise ValueError('no spread') from error\n" in words.plain
    bound = [one for one in graded.document["tests"] if one["extra_data"]["check"].startswith("vae.bound.posterior")]
    assert bound and all("calls" not in one["extra_data"]["message"] for one in bound), "private probes: one line alone"
