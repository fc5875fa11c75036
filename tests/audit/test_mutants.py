"""Mutants of the reference: what each operator makes, and an audit that survives them, goes on, and hides nothing."""

from __future__ import annotations

import ast
import importlib
import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.audit import mutants, mutation
from autograder.audit.mutants import Equivalent, GradedMutant
from autograder.audit.mutation import OPERATORS, changes
from autograder.audit.section import text
from autograder.audit.solutions import Solution
from autograder.authoring import template
from autograder.core import Assignment, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit.homework import AUDIT
from autograder.judging.judges import Exact
from autograder.judging.stats import gamma
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests import small

pytestmark = pytest.mark.slow

# ------------------------------------------------------------------------------------------- mutator


def solution(body: str, *, decorator: str = "") -> str:
    """A function with this solution."""
    marked = f"# BEGIN SOLUTION think\n{textwrap.dedent(body).strip()}\n# END SOLUTION"
    return f"{decorator}def f(x, y):\n    '''Docstring.'''\n{textwrap.indent(marked, '    ')}\n"


def made(operator: str, body: str, *, decorator: str = "") -> list[str]:
    """The solutions that one operator makes of this one, without those that another one makes first."""
    found = (change for change in changes(solution(body, decorator=decorator)) if change.operator == operator)
    lines = (change.source.splitlines() for change in found)
    return [textwrap.dedent("\n".join(each[each.index("    # BEGIN SOLUTION think") + 1 : -1])) for each in lines]


@pytest.mark.parametrize(
    ("operator", "body", "expected"),
    [
        ("arithmetic", "return x + y", ["return x - y", "return x * y"]),
        ("arithmetic", "return (x + y) * 3", ["return (x + y) / 3", "return x + y + 3", "return (x - y) * 3",
                                              "return (x * y) * 3"]),
        ("arithmetic", "x += y", ["x -= y", "x *= y"]),
        ("comparison", "return x < y <= 1", ["return x <= y <= 1", "return x > y <= 1", "return x < y < 1",
                                             "return x < y > 1"]),
        ("comparison", "return x is None or y", ["return x is None and y", "return x is not None or y"]),
        ("sign", "z = -x, not y", ["z = x, not y", "z = -x, y"]),
        ("sign", "return x, f(y)", ["return -x, f(y)", "return x, -f(y)"]),
        ("constant", "x = 3", ["x = 0", "x = 1", "x = -1", "x = 6", "x = -3"]),
        ("constant", "x = -0.5", ["x = 0.0", "x = 1.0", "x = -1.0", "x = 0.5"]),
        ("constant", "x.sum(-1, keepdim=True)", ["x.sum(0, keepdim=True)", "x.sum(1, keepdim=True)",
                                                 "x.sum(-2, keepdim=True)", "x.sum(-1, keepdim=False)"]),
        ("function", "return torch.sqrt(x).mean()", ["return torch.sqrt(x).sum()", "return torch.sqrt(x).max()",
                                                     "return torch.square(x).mean()", "return torch.abs(x).mean()"]),
        ("axis", "return x.mean()", ["return x.mean(0)", "return x.mean(-1)"]),
        ("axis", "return np.sum(x)", ["return np.sum(x, 0)", "return np.sum(x, -1)"]),
        ("axis", "return x.mean(1)", []),
        ("arguments", "return f(x, y, 1)", ["return f(y, x, 1)", "return f(x, 1, y)"]),
        ("arguments", "return x, y", ["return (y, x)"]),
        ("dropped", "f(x, y, dim=1)", ["f(x, y)", "f(x, dim=1)"]),
        ("term", "z = x - y", ["z = x", "z = y", "z = 2 * x - y", "z = x - 2 * y"]),
        ("term", "z = x / y", ["z = x", "z = y"]),
        ("unwrapped", "return F.relu(x.detach())", ["return x.detach()", "return F.relu(x)"]),
        ("detach", "return x * g(y)", ["return x.detach() * g(y)", "return x * g(y).detach()",
                                       "return x * g(y.detach())"]),
        ("detach", "return np.exp(x) * y", []),
        ("in_place", "x = x + y", ["x = x.__iadd__(y)"]),
        ("in_place", "return torch.sqrt(x)", ["return x.sqrt_()"]),
        ("in_place", "return x.masked_fill(y, 0)", ["return x.masked_fill_(y, 0)"]),
        ("in_place", "return np.log(x)", ["return np.log(x, out=x)"]),
        ("dtype", "x = g(y)", ["x = g(y).float()", "x = g(y).double()", "x = g(y).half()"]),
        ("dtype", "x = np.log(y)", ["x = np.float32(np.log(y))", "x = np.float16(np.log(y))"]),
        ("statement", "if x:\n    g()\nreturn y", [
            "pass\nreturn y", "if x:\n    pass\nreturn y", "if x:\n    g()\npass"]),
        ("condition", "return [z for z in x if z > 0] if y else 0", [
            "return [z for z in x if z > 0] if not y else 0", "return [z for z in x if not z > 0] if y else 0"]),
        ("condition", "while x < y:\n    x = g()", ["while not x < y:\n    x = g()"]),
        ("slice", "return x[1:n]", [
            "return x[2:n]", "return x[0:n]", "return x[1:n + 1]", "return x[1:n - 1]"]),
        ("slice", "return x[:, y]", ["return x[1:, y]", "return x[:-1, y]"]),
        ("slice", "return range(x)", ["return range(x + 1)", "return range(x - 1)"]),
        ("returned", "z = x\nreturn x", ["z = x\nreturn y", "z = x\nreturn z"]),
    ],
)  # fmt: skip
def test_each_operator_makes_exactly_these(operator: str, body: str, expected: list[str]) -> None:
    assert made(operator, body) == expected


def test_where_gradients_do_not_matter_none_is_cut() -> None:
    assert made("detach", "return g(x)") == ["return g(x).detach()", "return g(x.detach())"]
    assert made("detach", "return g(x)", decorator="@torch.no_grad()\n") == []


def test_only_solutions_are_changed_and_comments_stay() -> None:
    source = "def g(x):\n    return x + 1\n\n\n" + solution("x = x + y  # ä, the sum\nreturn x")
    found = changes(source)
    assert {(change.function, change.line) for change in found} == {("f", 4), ("f", 5)}
    minus = next(change for change in found if change.operator == "arithmetic")
    assert minus.source == source.replace("x = x + y", "x = x - y")
    assert minus.diff == "x = x + y  ->  x = x - y"


def test_of_a_long_line_what_changes_is_shown() -> None:
    found = changes(solution(f"{'z' * 90} = g({'a' * 90}, x < y)"))
    shown = [change.diff for change in found if change.operator == "comparison"]
    assert ["x < y" in diff and other in diff for diff, other in zip(shown, ("x <= y", "x > y"), strict=True)] == [
        True
    ] * 2


FEW = replace(
    ASSIGNMENT, questions=tuple(one for one in ASSIGNMENT.questions if one.id in ("vae", "gan", "policy_gradient"))
)


@pytest.fixture(scope="module")
def few() -> list[mutation.Mutant]:
    return mutation.of(FEW)


def _cut(file: str, text: str) -> str:
    """The text without its solutions."""
    return (template.cut_notebook if file.endswith(".ipynb") else template.cut)(text, file)[0]


def test_mutants_differ_from_the_reference_in_one_solution_alone(few: list[mutation.Mutant]) -> None:
    for file in {mutant.file for mutant in few}:
        reference = (FEW.reference / file).read_text()
        texts = [mutant.text for mutant in few if mutant.file == file]
        assert all(_cut(file, text) == _cut(file, reference) for text in texts)
        if file.endswith(".ipynb"):  # and not even their spaces changed
            texts = [json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" for text in texts]
            assert texts == [mutant.text for mutant in few if mutant.file == file]
        assert len({reference, *texts}) == 1 + len(texts)


def test_mutants_are_the_same_each_time_and_named_once(few: list[mutation.Mutant]) -> None:
    assert mutation.of(FEW) == few
    assert len({mutant.id for mutant in few}) == len(few) > 250
    assert {mutant.operator for mutant in few} <= OPERATORS.keys()


def sources(assignment: Assignment) -> Iterator[str]:
    for file in assignment.graded:
        text = (assignment.reference / file).read_text() if file.endswith((".py", ".ipynb")) else ""
        if file.endswith(".ipynb"):
            yield from ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
        else:
            yield text


def test_every_mutant_compiles_and_none_has_the_code_of_the_reference_or_of_another() -> None:
    for source in sources(FEW):
        if "BEGIN SOLUTION" not in source:
            continue
        codes = [ast.dump(compile(change.source, "mutant", "exec", ast.PyCF_ONLY_AST)) for change in changes(source)]
        assert all(compile(change.source, "mutant", "exec") for change in changes(source))
        assert len({ast.dump(ast.parse(source)), *codes}) == 1 + len(codes) > 1


# --------------------------------------------------------------------------------------------- audit

REFERENCE = solution(
    """
    found = [x, x]
    while len(found) != 4:
        found = found * len(found)
    return sum(found[2:4])
    """
).replace("f(x, y)", "twice(x, y=None)")
STAYS, EATS = "numbers.twice:6:statement:1", "numbers.twice:5:constant:1"
"""Without the statement in the loop it goes on for ever; with 0 in place of 4 the list grows without end,
so fast that it asks for more memory than there is before it has used much, or a slow machine would end it sooner."""


HOMEWORK = """
from dataclasses import replace
from pathlib import Path

from autograder.core import Verdict
from autograder.judging.judges import Exact
from tests import small

question = small.ASSIGNMENT.questions[0]
check = replace(question.checks[0], request=replace(question.checks[0].request, seconds=1.0))
{more}
ASSIGNMENT = replace(
    small.ASSIGNMENT,
    questions=(replace(question, checks=(check,)),),
    reference=Path(__file__).with_name("reference"),
    solutions=(),
)
"""


def importable(folder: Path, name: str, *, more: str = "") -> str:
    """The small homework's first question with a solution that can loop and eat memory, as a package of this name."""
    (folder / name / "reference").mkdir(parents=True)
    (folder / name / "reference" / "answer.py").write_text(REFERENCE)
    (folder / name / "__init__.py").write_text(HOMEWORK.format(more=more))
    return name


@pytest.fixture(scope="module")
def homework(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("homework")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importable(folder, "doubled")


@pytest.fixture(scope="module")
def assignment(homework: str) -> Assignment:
    return importlib.import_module(homework).ASSIGNMENT


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(small.ASSIGNMENT.probes)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def matrix(homework: str, out: Path) -> mutants.Matrix:
    return mutants.measured(homework, out, jobs=2)


def test_loops_and_hunger_for_memory_are_survived(matrix: mutants.Matrix, assignment: Assignment) -> None:
    told = {one.id: one.diagnoses.get("numbers.twice") for one in matrix.mutants}
    assert told[STAYS] == "deadline"
    assert told[EATS] == "memory"
    assert list(told) == [mutant.id for mutant in mutation.of(assignment)]


def test_survivors_that_agree_with_the_reference_are_told_apart(matrix: mutants.Matrix) -> None:
    same = [one for one in matrix.mutants if one.diff.endswith("found[2:5])")]
    assert [matrix.equivalent[one.id] for one in same] == [mutants.SAME] * len(same) != []
    assert matrix.survivors == ()
    assert set(matrix.rows[0].kills) | set(matrix.equivalent) == {one.id for one in matrix.mutants}
    assert matrix.rows[0].alone == matrix.rows[0].kills  # it is the only check
    assert mutants.section(matrix).holds


def test_a_survivor_by_luck_shows_in_further_gradings(sandbox: Sandbox, assignment: Assignment) -> None:
    (question,) = assignment.questions

    def low(trial: Any) -> Verdict:
        return Verdict(float(trial.given["x"] < 50), "x is 50 or more.")

    lucky = Exact(low)
    blind = replace(assignment, questions=(replace(question, checks=(replace(question.checks[0], judge=lucky),)),))
    harmless = replace(mutation.of(assignment)[0], text=REFERENCE)
    assert 0 < mutants.failures(sandbox, blind, harmless, times=12) < 12


def test_what_was_graded_is_not_graded_again(matrix: mutants.Matrix, homework: str, out: Path) -> None:
    journal = out / "mutants.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:40])  # stopped in the middle of a line
    told: list[tuple[int, int]] = []
    again = mutants.measured(homework, out, tell=lambda done, of: told.append((done, of)))
    assert again == matrix
    assert len(journal.read_text().splitlines()) == len(lines) + 1
    number = len(matrix.mutants)
    assert told == [(number, number), (number, number + 1), (number + 1, number + 1)]


def test_what_a_blind_check_passes_is_listed_as_a_survivor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    blind = 'check = replace(check, judge=Exact(lambda _trial: Verdict(1.0, "Fine.")))'
    found = mutants.measured(importable(tmp_path, "blind", more=blind), tmp_path / "out", every=13)
    assert found.survivors
    assert all(one.agreement.startswith("differs in probes:twice") for one in found.survivors)
    assert all(one.agreement.endswith("failed in 0 of 20 further gradings") for one in found.survivors)
    told = mutants.section(found)
    assert [promise.holds for promise in told.promises] == [False, True, True, True]
    assert found.survivors[0].diff in text(told)


def test_a_slice_holds_some_of_every_function(few: list[mutation.Mutant]) -> None:
    some = mutants.sliced(few, 40)
    assert {mutant.function for mutant in some} == {mutant.function for mutant in few}
    assert len(some) < len(few) / 20
    assert mutants.sliced(few, 1) == few


# -------------------------------------------------------------------------------------------- matrix


def one(id: str, agreement: str = "", **scores: float) -> GradedMutant:
    requests = dict.fromkeys(scores, "ask")
    return GradedMutant(id, "c", "g", "q", "sign", "x -> -x", scores, {}, requests, {"ask": 2.0}, (), agreement)


def test_the_matrix_counts_kills_and_costs() -> None:
    gradings = [one("m1", a=0.0, b=0.5), one("m2", a=0.0, b=1.0), one("m3", mutants.SAME, a=1.0, b=1.0)]
    found = mutants.matrix(gradings, (), ["m1", "m2", "m3"])
    assert [(row.check, row.kills, row.alone, row.cost) for row in found.rows] == [
        ("a", ("m1", "m2"), ("m2",), 3.0),
        ("b", ("m1",), (), 6.0),
    ]
    promise = mutants.section(found).promises[1]
    assert (promise.holds, promise.measured) == (False, "1 of 2; not b")


def test_a_check_that_alone_catches_a_named_mistake_is_there_for_something() -> None:
    named = [Solution("v1", "", "f", "", fails=("b",)), Solution("v2", "", "f", "", fails=("a", "b"))]
    found = mutants.matrix([one("m1", a=0.0, b=0.5), one("m2", a=0.0, b=1.0)], (), ["m1", "m2"], named)
    assert [(row.check, row.named) for row in found.rows] == [("a", 0), ("b", 1)]
    assert mutants.section(found).holds


def test_documented_equivalents_must_survive_and_exist() -> None:
    documented = [Equivalent("m?", "It makes no difference."), Equivalent("n1", "Gone.")]
    found = mutants.matrix([one("m1", a=1.0), one("m2", a=0.0)], documented, ["m1", "m2"])
    assert found.equivalent == {"m1": "It makes no difference."}
    assert found.stray == (
        "No mutant is called n1, as equivalents.toml has it.",
        "m2 is documented as equivalent, but fails a.",
    )
    assert not mutants.section(found).holds
    near = mutants.matrix([one("m1", a=1.0), one("m2", a=0.0)], [Equivalent("m?", "Just allowed.", True)], ["m1", "m2"])
    assert (near.stray, set(near.equivalent), len(near.killed)) == ((), {"m1"}, 1)


def test_a_fault_of_the_grader_is_an_error_and_no_survivor() -> None:
    found = mutants.matrix([replace(one("m1", a=1.0), faulty=("a",))], (), ["m1"])
    assert found.faults == ("The grader itself failed at m1, in a.",)
    assert not mutants.section(found).holds
    assert (found.survivors, found.killed, found.equivalent) == ((), (), {})


def test_values_agree_to_the_bit_within_rounding_or_not() -> None:
    want = np.array([1.0, -4.0], np.float32)
    bound = 2 * gamma(mutants.ROUNDINGS) * 4
    near, far = want + np.float32(0.9 * bound), want + np.float32(1.2 * bound)
    assert mutants.apart({"z": want.copy(), "n": 2}, {"z": want, "n": 2}) == (0.0, "z")
    assert 0 < mutants.apart({"z": want.astype(np.float64)}, {"z": want})[0] < 1e-9
    assert 0.5 < mutants.apart({"z": near}, {"z": want})[0] <= 1
    for other in ({"z": far}, {"z": want[:1]}, {"z": np.array([1, -4])}, {"z": want * np.nan}, {}):
        assert mutants.apart(other, {"z": want})[0] > 1
    assert mutants.apart({"n": True}, {"n": 1})[0] > 1


def test_the_table_of_equivalents_names_mutants_that_exist_with_a_reason() -> None:
    names = [mutant.id for mutant in mutation.of(ASSIGNMENT)]
    found = mutants.matrix([], mutants.equivalents(AUDIT.equivalents), names)
    assert found.stray == ()
    assert all(known.reason.endswith(".") for known in mutants.equivalents(AUDIT.equivalents))


def test_without_marked_solutions_the_part_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text("def twice(x):\n    return 2 * x\n")
    told = mutants.lacks(replace(small.ASSIGNMENT, reference=tmp_path))
    assert told == "no graded function of the reference has a marked solution."
    assert mutants.lacks(small.ASSIGNMENT) == mutants.lacks(ASSIGNMENT) == ""
