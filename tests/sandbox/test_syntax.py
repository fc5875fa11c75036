"""Which newer Python a text needs that is not compiled here: each construct of 3.12 to 3.15, and what only looks so."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.audit.damage import mutated
from autograder.audit.formats import PYTHON_WORDS
from autograder.sandbox.guest.syntax import needs

OLD = (3, 11)
NEWER = {
    # f-strings, PEP 701
    'print(f"{d["loss"]}")': (3, 12),
    "print(f'{d['loss']:.3f}')": (3, 12),
    'x = f"{\', \'.join(f"{n}={v}" for n, v in d.items())}"': (3, 12),
    "x = f'''{d['''a''']}'''": (3, 12),
    "x = rf\"{'\\n'.join(rows)}\"": (3, 12),
    'x = f"{"\\n".join(rows)}"': (3, 12),
    "x = f\"{'\\t'.join(rows)}\"": (3, 12),
    'x = f"{\n    total\n}"': (3, 12),
    'x = f"""{\n    total  # of all\n}"""': (3, 12),
    'x = "a" f"{d["k"]}" "b"': (3, 12),
    'x = f"{f"{f"{1 + 1}"}"}"': (3, 12),
    'x = f"{d["a"]!r:>{w["b"]}}"': (3, 12),
    'x = f"{d["a"]=}"': (3, 12),
    'x = f"\\N{BULLET} {d["a"]} {{literal}}"': (3, 12),
    'def f():\n    for i in r:\n        print(f"step {i}: {d["loss"]:.4f}")\n': (3, 12),
    # type statements and parameters, PEP 695
    "type Pair = tuple[int, int]": (3, 12),
    "type Pair[T] = tuple[T, T]": (3, 12),
    "type\\\n  Pair = int": (3, 12),
    "x = 1; type Pair = int": (3, 12),
    "if x:\n    type Pair = int\n": (3, 12),
    "def first[T](xs: list[T]) -> T:\n    return xs[0]": (3, 12),
    "async def first[T](xs): ...": (3, 12),
    "class Stack[T]:\n    pass": (3, 12),
    "class Stack[T: (int, str), *Ts, **P](Base, metaclass=M):\n    def get[S](self, s: S): return s": (3, 12),
    "@rule\ndef loss[T: Tensor](\n    a: T,\n) -> T:\n    return a": (3, 12),
    "class A[\n    T,\n    S,\n]: pass": (3, 12),
    # defaults, PEP 696
    "class Stack[T = int]:\n    pass": (3, 13),
    "def f[T: int = bool, *Ts = *tuple[int, ...]](): pass": (3, 13),
    "type Pair[T = dict[str, int]] = tuple[T, T]": (3, 13),
    # except without parentheses, PEP 758
    "try:\n    f()\nexcept ValueError, TypeError:\n    pass": (3, 14),
    "try: f()\nexcept ValueError, socket.error: pass": (3, 14),
    "try:\n    f()\nexcept* A, B, c:\n    pass": (3, 14),
    # template strings, PEP 750
    'x = t"a {b}"': (3, 14),
    "x = rt'{b!r:>{w}}' T'c'": (3, 14),
    'print(t"{d["k"]}")': (3, 14),
    # lazy imports and unpacking in comprehensions, PEP 810 and 798
    "lazy import torch": (3, 15),
    "lazy from torch import nn": (3, 15),
    "x = [*row for row in rows]": (3, 15),
    "x = {**one for one in many}": (3, 15),
    "return_value = (*row for row in rows if row)": (3, 15),
    # several: the newest
    'type P = int\nx = f"{d["a"]}"\nclass A[T = int]: ...': (3, 13),
}
NONE = [
    # compile everywhere
    "", "x = 1", 'x = f"{d[\'a\']}"', 'x = f"{x!r:>{w}.{p}f} {{}}"', "type = 3", "type(x)", "type[0] = 1",
    "type: int = 3",
    "lazy = 1", "match x:\n    case [*a]: pass", "print(*x)", "f(*a, **b)", "x = [*a, *b]", "x = {**a, 'b': 1}",
    "def f(*a, **b): ...", "except_ = 1", "try: f()\nexcept (A, B): pass", "t = 'x'", "x = rb'a' b'c'",
    "x = f'{lambda: 1}'" if sys.version_info >= (3, 12) else "x = 1", "x = f'{a != b}'", "x = f'{a:%H:%M}'",
    "x = f'{ {1: 2}[1] }'", "x = f'{a == b}'", "x = f'{(lambda x: x)(3)}'",
    # wrong in every Python
    "x = (", "x = f'{'", "x = f'{}'", 'x = f"{d["a"}"', 'x = f"{d["a" b]}" )', "def f(:", "print 'x'", "type Pair int",
    "type 1 = int", "type Pair = ", "def f[](): pass", "def f[T:](): pass", "def f[1](): pass", "class A[T](: pass",
    "def f[*T: int](): pass", 'x = t"{"', "x = t'a' 'b'", "x = 'a' t'{b}'", "lazy torch", "x = [*row for]", "x = f'}'",
    "x = [*a, *b for a in c]", "f(*a for a in b)", "x = (**a for a in b)", "x = 'unterminated", "x = '''unterminated",
    'print(f"{d["loss"]}"\ny = = 2', "type Pair = int\n  y = 2", "x = f'{a!z}'", "x = f'{a!r b}'", "x = ]",
    # Python 2, where a comma binds the exception
    "try: f()\nexcept ValueError, e: pass", "try: f()\nexcept (A, B), e: pass", "try: f()\nexcept A, B as e: pass",
    "try: f()\nexcept A, error: print error",
    # Jupyter's own
    "!ls", "%time x = 1", "?f",
]  # fmt: skip


@pytest.mark.parametrize("text", NEWER)
def test_the_version_that_a_construct_needs(text: str) -> None:
    assert needs(text, running=OLD) == NEWER[text]
    assert needs(f"x = 0\n{text}\ny = 1  # é\n", running=OLD) == NEWER[text]
    assert needs(text.replace("\n", "\r\n"), running=OLD) == NEWER[text]
    assert needs(text, running=NEWER[text]) is None
    assert needs(f"{text}\nx = (\n", running=OLD) is None


@pytest.mark.parametrize("text", NONE)
def test_what_is_old_or_wrong_needs_nothing(text: str) -> None:
    assert needs(text, running=OLD) is None


def pythons() -> list[str]:
    """Newer interpreters that this machine happens to have."""
    found = [shutil.which(f"python3.{minor}") for minor in range(12, 16)]
    found += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[2-5]*/bin/python3")))
    return [path for path in found if path and subprocess.run([path, "-c", ""], check=False).returncode == 0]


@pytest.mark.parametrize("python", pythons() or [sys.executable])
def test_real_interpreters_agree(python: str) -> None:
    """What is said to need a version compiles there, and not in the one before."""
    program = (
        "import ast, json, sys, warnings\nwarnings.simplefilter('ignore')\nout = []\n"
        "for text in json.load(sys.stdin):\n"
        "    try: ast.parse(text); out.append(True)\n"
        "    except SyntaxError: out.append(False)\n"
        "print(json.dumps([sys.version_info[:2], out]))"
    )
    texts = [*NEWER, *NONE]
    done = subprocess.run(
        [python, "-I", "-c", program], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    version, compiled = json.loads(done.stdout)
    for text, good in zip(texts, compiled, strict=True):
        if text in NEWER:
            assert good == (tuple(version) >= NEWER[text]), text
        elif good:
            assert needs(text, running=tuple(version)) is None, text


def test_hostile_texts_cost_little_and_raise_nothing() -> None:
    texts = [
        *('f"{' * 20000, "f'{f\"{" * 9000, "(" * 50000, "class A[" * 5000, "x = [*" * 20000, "except A," * 20000),
        *("[*x for x in y]," * 9999, "\0", "\ud800", "type A[" + "T," * 20000 + "] = int", 'f"{x:' + "{y:" * 5000),
        *("\\" * 9999, "type x = y;" * 9999, "try: x\nexcept A, B: y\n" * 4000),
    ]
    for text in texts:
        started = time.process_time()
        assert needs(text, running=OLD) in (None, (3, 12), (3, 14), (3, 15))
        assert time.process_time() - started < 3
    rng = random.Random(3)
    seeds = [text.encode() for text in (*NEWER, *NONE)]
    words = [word.replace(b"\\n", b"\n") for word in PYTHON_WORDS]
    for _ in range(2000):
        found = needs(mutated(rng, seeds, words).decode("utf-8", "replace"), running=OLD)
        assert found is None or OLD < found <= (3, 15)
