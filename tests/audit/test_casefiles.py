"""Case files: what each field stands for, and what is said of files that cannot be read."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.audit import casefiles, solutions
from autograder.audit.solutions import Bank, CaseError, Solution
from autograder.hw11 import ASSIGNMENT
from tests import small
from tests.helpers import ROOT

PATH = Path("some.cases")
TEXT = """\
# Solutions of scaled(x): a remark, which is no field.
# file: work/scale.py
# group SIZE: size.small, size.large
# group SIZE: size.huge
# group ALL: SIZE, form

## Right ones

# %% plain: As it should be.
def scaled(x):
    factor = 2
    y = factor * x

    return y

# %% half-open: Some is right; the rest: not.
# fails: form; sometimes: size.small, size.large
# sometimes: size.huge
# lost: 1/3, Two of three are right; from: the reason has a colon.
# note: For people; diagnosis of none.
import math
HALF = 0.5
# ---
def scaled(x):
    return HALF * x
## A heading
# and a remark below it

# %% thrice: Thrice.
# fails: ALL; diagnosis: thrice; from: plain
-    factor = 2
+    factor = 3

# %% elsewhere: Another file, with other line ends.
# file: other.py; newlines: crlf; from: plain
+from math import pi
+# ---
     y = factor * x
-
+    y = y + 0
-    return y
+    return y * pi

"""


def read(text: str) -> dict[str, Solution]:
    return {one.id: one for one in casefiles.parsed(text, PATH)}


def test_a_case_is_its_title_fields_and_code() -> None:
    cases = read(TEXT.replace("; from: the reason has a colon", ""))
    assert list(cases) == ["plain", "half-open", "thrice", "elsewhere"]
    assert [one.kind for one in cases.values()] == ["right", "half-right", "wrong", "right"]
    plain, half = cases["plain"], cases["half-open"]
    assert plain == Solution(
        "plain",
        "As it should be.",
        "work/scale.py",
        "def scaled(x):\n    factor = 2\n    y = factor * x\n\n    return y",
    )
    assert half.about == "Some is right; the rest: not."
    assert (half.fails, half.sometimes) == (("form",), ("size.small", "size.large", "size.huge"))
    assert (half.lost, half.reason) == (1 / 3, "Two of three are right.")
    assert half.prelude == "import math\nHALF = 0.5"
    assert half.source == "def scaled(x):\n    return HALF * x"
    assert half.place == "some.cases:16"


def test_a_reason_may_have_semicolons_and_colons() -> None:
    text = TEXT.replace("; from: the reason has a colon.", "; the rest: not, for it is hard.")
    assert read(text)["half-open"].reason == "Two of three are right; the rest: not, for it is hard."


def test_a_change_is_made_where_it_says() -> None:
    cases = read(TEXT.replace("; from: the reason has a colon", ""))
    thrice, other = cases["thrice"], cases["elsewhere"]
    assert thrice.source == "def scaled(x):\n    factor = 3\n    y = factor * x\n\n    return y"
    assert thrice.fails == ("size.small", "size.large", "size.huge", "form")
    assert thrice.diagnosis == "thrice"
    assert other.file == "other.py"
    assert other.prelude == "from math import pi"
    lines = ["def scaled(x):", "    factor = 2", "    y = factor * x", "    y = y + 0", "    return y * pi"]
    assert other.source == "\r\n".join(lines)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ("+z = 0", "z = 0\na\nb\na\nc"),  # nothing was passed by: at the top
        ("-a", "b\na\nc"),  # the next such line is the first one
        (" b\n-a", "a\nb\nc"),
        (" b\n+z\n-c\n+y", "a\nb\nz\na\ny"),
        ("-a\n-b\n\n-c", "a"),  # lines that are not mentioned stay; blank lines between changes say nothing
        (" c\n+", "a\nb\na\nc\n"),
    ],
)
def test_changes(changes: str, code: str) -> None:
    text = f"# file: f\n# %% base: B.\na\nb\na\nc\n\n# %% new: N.\n# from: base\n{changes}\n"
    assert read(text)["new"].source == code


CASE = "# %% one: One.\n"
CODE = "def f():\n    return 1\n"
BASE = f"# file: f.py\n{CASE}{CODE}"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("# file: f.py\nx = 1\n" + CASE + CODE, 2, "in no case"),
        ("# file: f.py\n# %% two words: One.\n" + CODE, 2, "id has no spaces"),
        ("# file: f.py\n# %% one\n" + CODE, 2, "`# %% id: sentence`"),
        ("# file: f.py\n# %% one:\n" + CODE, 2, "`# %% id: sentence`"),
        (CASE + CODE, 1, "No file is named"),
        (f"# file: f.py\n{CASE}\n\n{CASE}{CODE}", 2, "one has no code"),
        (f"{BASE}\n{CASE}{CODE}", 6, "The id one is taken: see line 2"),
        (f"{BASE}## Heading\nx = 1\n", 6, "A heading ends a case"),
        (f"# file: f.py\n{CASE}# fail: a\n{CODE}", 3, "`fail` is no field. Expected: fails,"),
        (f"# file: f.py\n{CASE}# Some comment.\n{CODE}", 3, "`Some comment.` is no field"),
        (f"# file: f.py\n{CASE}# fails: a; diagnose: b\n{CODE}", 3, "commas between them, not `a; diagnose: b`"),
        (f"# file: f.py\n{CASE}# fails:\n{CODE}", 3, "The field fails is empty"),
        (f"# file: f.py\n{CASE}# fails: a; diagnosis: b\n# diagnosis: c\n{CODE}", 4, "diagnosis stands here twice"),
        (f"# file: f.py\n{CASE}{CODE}# fails: a\n", 5, "`# fails:` stands in the code"),
        (f"# file: f.py\n{CASE}# fails: a b\n{CODE}", 3, "commas between them, not `a b`"),
        (f"# file: f.py\n{CASE}# fails: a, b\n# fails: a\n{CODE}", 4, "a stands here twice"),
        (f"# file: f.py\n{CASE}# fails: ALL\n{CODE}", 3, "There is no group ALL above. Known: none."),
        (f"# file: f.py\n# group All: a\n{CASE}{CODE}", 2, "in capitals, and All is not"),
        (f"# file: f.py\n# group A: B\n# group B: b\n{CASE}{CODE}", 2, "There is no group B above"),
        (f"# file: f.py\n{CASE}# diagnosis: a\n{CODE}", 3, "`diagnosis:` needs `fails:`"),
        (f"# file: f.py\n{CASE}# sometimes: a\n{CODE}", 3, "`sometimes:` needs `fails:`"),
        (f"# file: f.py\n{CASE}# lost: 1, Half.\n{CODE}", 3, "`lost:` needs `fails:`"),
        (f"# file: f.py\n{CASE}# fails: a\n# sometimes: a\n{CODE}", 4, "a stands in `fails:` and in `sometimes:`"),
        *(
            (f"# file: f.py\n{CASE}# fails: a\n# lost: {lost}\n{CODE}", 4, "Expected points above 0 and the reason")
            for lost in ("1", "half, Half.", "0, None.", "-1, Less.", "1/0, All.", "nan, N.", "1e999, Much.")
        ),
        (f"# file: f.py\n{CASE}# newlines: lf\n{CODE}", 3, "`newlines: crlf`"),
        (f"# file: f.py\n{CASE}import a\n# ---\n", 2, "no code below `# ---`"),
        (f"# file: f.py\n{CASE}import a\n# ---\n{CODE}# ---\n{CODE}", 2, "more than one line `# ---`"),
        (f"{BASE}# %% two: Two.\n# from: none\n-def f():\n", 6, "This file has no case none"),
        (f"{BASE}# %% two: Two.\n# from: two\n-def f():\n", 6, "two is itself made from two"),
        (
            f"{BASE}# %% two: Two.\n# from: one\n-def f():\n# %% three: 3.\n# from: two\n+x\n",
            9,
            "this one from one, too",
        ),
        (f"{BASE}# %% two: Two.\n# from: one\n-def g():\n", 7, "one has no such line: def g():"),
        (f"{BASE}# %% two: Two.\n# from: one\n     return 1\n-def f():\n", 8, "no such line from here on: def f():"),
        (f"{BASE}# %% two: Two.\n# from: one\ndef g():\n", 7, "A change begins with"),
        (f"{BASE}# %% two: Two.\n# from: one\n     return 1\n", 5, "two changes nothing of one"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(CaseError, match=f"^some.cases:{line}: .*{re.escape(said)}") as caught:
        casefiles.parsed(text, PATH)
    assert str(caught.value).endswith((".", "`", said, ":"))


def test_an_id_is_taken_in_all_files(tmp_path: Path) -> None:
    for name in ("a.cases", "b.cases"):
        (tmp_path / name).write_text(f"# file: {name}\n{CASE}{CODE}")
    with pytest.raises(CaseError, match=r"b.cases:2: The id one is taken: see .*a.cases:2\.$"):
        casefiles.read(tmp_path / "a.cases", tmp_path / "b.cases")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.cases").write_bytes(f"# file: f.py\n{CASE}".encode() + b"x = '\xff'\n")
    with pytest.raises(CaseError, match=r"a.cases:3: This line is no UTF-8"):
        casefiles.read(tmp_path / "a.cases")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"none.cases: This file cannot be read: No such file or directory\.$"):
        casefiles.read(tmp_path / "none.cases")


def test_what_is_wrong_comes_back_from_another_process() -> None:
    assert str(pickle.loads(pickle.dumps(CaseError("a:1", "No.")))) == "a:1: No."


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("# fails: numbers.twic\n", "2: The homework has no check numbers.twic."),
        ("# fails: numbers.twice; sometimes: word\n", "2: The homework has no check word."),
        ("# file: answers.py\n", "2: No question of the homework grades the file answers.py."),
    ],
)
def test_what_the_homework_does_not_have(tmp_path: Path, fields: str, said: str) -> None:
    path = tmp_path / "a.cases"
    path.write_text(f"# file: answer.py\n{CASE}{fields}{CODE}")
    with pytest.raises(CaseError, match=re.escape(said)):
        casefiles.bank_of(replace(small.ASSIGNMENT, solutions=(path,)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def scaled(x)\n    return x", "some.cases:9: one is no Python: expected ':', in line 1 of its code."),
        ("def scaled(x):\n    return x\ny = 1", "some.cases:9: Line 3 of the code of one belongs to no function"),
        ("def scale(x):\n    return x", "some.cases:9: one defines scale, which the reference's work.py does not"),
    ],
)
@pytest.mark.parametrize("file", ["work.py", "work.ipynb"])
def test_what_cannot_take_the_references_place(source: str, said: str, file: str) -> None:
    reference = "def scaled(x):\n    return 2 * x\n"
    if file.endswith(".ipynb"):
        reference = '{"cells": [{"cell_type": "code", "source": ["def scaled(x):\\n", "    return 2 * x"]}]}'
    with pytest.raises(CaseError, match=re.escape(said.replace("work.py", file))):
        solutions.applied(Solution("one", "One.", file, source, place="some.cases:9"), reference)


# ----------------------------------------------------------------------------------------- what exists


def test_the_explanations_example_is_what_it_says() -> None:
    text = (ROOT / "docs" / "solutions.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    plain, wrong, half = casefiles.parsed(example, PATH)
    assert [one.kind for one in (plain, wrong, half)] == ["right", "wrong", "half-right"]
    assert wrong.source == plain.source.replace("torch.sqrt(v)", "v")
    reference = (ASSIGNMENT.reference / plain.file).read_text()
    for one in (plain, wrong, half):
        compile(solutions.applied(one, reference), plain.file, "exec")


@pytest.mark.slow
def test_every_solution_of_the_homework_takes_the_references_place() -> None:
    bank = casefiles.bank_of(ASSIGNMENT)
    texts = {file: (ASSIGNMENT.reference / file).read_text() for file in {one.file for one in bank.everything}}
    assert all(solutions.applied(one, texts[one.file]) != texts[one.file] for one in bank.everything)
    assert {"right", "wrong", "half-right"} == {one.kind for one in bank.everything}


def test_changes_are_made_to_right_solutions() -> None:
    """So a reader sees what is wrong, not how one mistake becomes another."""
    bank = casefiles.bank_of(ASSIGNMENT)
    right = {one.id for one in bank.right}
    bases = {
        base for path in ASSIGNMENT.solutions for base in re.findall(r"^# .*\bfrom: (\S+)$", path.read_text(), re.M)
    }
    assert len(bases) > 10
    assert bases <= right


def test_a_bank_knows_its_solutions_by_id() -> None:
    one, two = Solution("one", "", "f", "x"), Solution("two", "", "f", "x", fails=("a",))
    bank = Bank.of([two, one])
    assert (bank.right, bank.wrong, bank.half_right) == ((one,), (two,), ())
    assert bank["two"] is two
    with pytest.raises(KeyError):
        bank["three"]


def test_a_digest_tells_solutions_apart_and_not_their_places() -> None:
    one = Solution("one", "", "f", "x", place="a:1")
    assert one.code == replace(one, place="b:2").code
    assert len({one.code, replace(one, source="y").code, replace(one, lost=0.5).code, replace(one, file="g").code}) == 4
