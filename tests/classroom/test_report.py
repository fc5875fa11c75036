"""The report on a class: its figures against hand and scipy, hostile text, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import html
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from scipy import stats

from autograder.classroom import gradebook, report, similarity
from autograder.classroom.gradebook import Gradebook
from autograder.classroom.roster import Upload
from autograder.core import Result, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.intake.metadata import RosterStudent
from autograder.output import gradescope, pages
from tests import helpers
from tests.classroom.browser import Browser, opened

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    '"><img src=x onerror="document.title = \'taken\'">',
    "‮evil‬ ⁦⁧name⁩ \x1b[31m\x00​",
    "{{ 7 * 191 }}{% raise %}",
    "</style></script><svg onload=alert(1)>",
    "long" * 2500,
)
DIRECTING = re.compile("[‎‏؜‪-‮⁦-⁩\x00-\x08\x0b-\x1f]")


def results(number: int, judge: Callable[[int, int], Verdict], *, seconds: float = 0.1) -> list[Result]:
    """A result for each check of the homework; `judge` maps a submission's and a check's number to a verdict."""
    checks = [(question, check) for question in ASSIGNMENT.questions for check in question.checks]
    return [
        Result(question, check, judge(number, place), seconds=seconds * (1 + place))
        for place, (question, check) in enumerate(checks)
    ]


def right(_number: int, _place: int) -> Verdict:
    return Verdict(1.0, "As expected.")


def varied(number: int, place: int) -> Verdict:
    """By a student's ability and a check's difficulty, with misconceptions, the same at every call."""
    luck = np.random.default_rng([number, place])
    ability = np.random.default_rng(number).normal(0.6, 1.0)
    notes: tuple[str, ...] = ("predictions:" + f"{min(number, 40):016x}",) if place == 14 else ()
    if place == 14 and number % 9 == 0:
        notes += ("t5.predictions are all the same text",)
    if ability + luck.normal() > (place % 7) / 3 - 1:
        return Verdict(1.0, "As expected.", notes=notes)
    share = float(luck.choice([0.0, 0.0, 0.5, 1 / 3]))
    name = f"mistake_{place % 5}" if place % 3 else ""
    size = luck.integers(90)
    message = f"The gradient with respect to m is {size} times too large. Expected: the average over the batch."
    return Verdict(share, message, name, notes=notes)


def document(number: int, judge: Callable[[int, int], Verdict] = varied) -> dict:
    luck = np.random.default_rng([7, number])
    content = gradescope.document(
        ASSIGNMENT,
        results(number, judge),
        seconds=float(luck.gamma(6, 2)),
        isolation="isolation: files BLOCKED -> STRONG",
    )
    content["extra_data"] |= {"grader": "0123456789ab", "content": f"{number:032x}", "outcome": "graded"}
    content["extra_data"] |= {"cpu": float(luck.gamma(3, 2)), "memory": int(luck.gamma(50, 6e6))}
    return content


def refused(number: int) -> dict:
    content = gradescope.document(ASSIGNMENT, [], reason="There is no Python file in the upload.")
    content["extra_data"] |= {"grader": "0123456789ab", "outcome": "not gradable"}
    return content


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook in which a run began and ended, without submissions; to begin one reads the whole template."""
    path = tmp_path_factory.mktemp("begun") / "gradebook.sqlite"
    with Gradebook(path).open() as opened:
        started, finished = (f"2026-11-23T07:{minute}:00+00:00" for minute in ("00", "10"))
        run = gradebook.begin(
            opened, ASSIGNMENT, grader="0123456789ab", jobs="with 2 processes", question="", now=started
        )
        gradebook.finish(opened, run, graded=0, now=finished)
    return path


@pytest.fixture
def book(begun: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with Gradebook(Path(shutil.copy(begun, tmp_path))).open() as opened:
        yield opened


def hand_in(book: sqlite3.Connection, number: int, content: dict, *names: str) -> str:
    students = tuple(RosterStudent(name, f"s{number:06d}", f"{number}@example.edu") for name in names)
    upload = Upload(f"submission_{1000 + number}", Path("x.zip"), students=students, created_at="2026-11-20")
    gradebook.record(book, upload, content, 1)
    return upload.id


def written(book: sqlite3.Connection, folder: Path) -> str:
    report.write(book, ASSIGNMENT, folder)
    return (folder / "report.html").read_text()


# ------------------------------------------------------------------------------------------- figures


def test_discrimination_by_hand_and_by_scipy() -> None:
    item, rest = np.repeat([0.0, 1.0], 10), np.arange(20.0)
    # (mean of the right - mean of the wrong) / sd of all * sqrt(p q) = (14.5 - 4.5) / sqrt(399 / 12) * 0.5
    figure, reason = report.discrimination(item, rest)
    assert figure == pytest.approx(10 / (399 / 12) ** 0.5 / 2) and reason == ""
    assert figure == pytest.approx(stats.pointbiserialr(item, rest).statistic)
    luck = np.random.default_rng(0)
    partial, rest = luck.choice([0, 0.5, 3], 57), luck.normal(size=57)
    assert report.discrimination(partial, rest)[0] == pytest.approx(stats.pearsonr(partial, rest).statistic)


def test_no_discrimination_where_it_would_say_nothing() -> None:
    many = np.arange(20.0)
    assert report.discrimination(many[:19], many[:19]) == (None, "too few")
    assert report.discrimination(np.full(20, 1 / 3), many) == (None, "no variance")
    assert report.discrimination(many, np.full(20, 0.7)) == (None, "no variance")


def test_items_leave_out_what_was_not_judged(book: sqlite3.Connection, tmp_path: Path) -> None:
    contents = [document(number) for number in range(40)]
    fault, missed = contents[3]["tests"][1], contents[5]["tests"][1]
    fault["score"], fault["extra_data"]["status"] = fault["max_score"], "grader error"
    missed["score"], missed["extra_data"] = 0.0, {"check": missed["extra_data"]["check"], "diagnoses": []}
    for number, content in enumerate(contents):
        hand_in(book, number, content)
    hand_in(book, 40, refused(40))
    read = [entry for entry in report.entries(book, ASSIGNMENT) if entry.read]
    items = report.analyse(ASSIGNMENT, read)
    points = np.array([[test.get("score", 0.0) for test in content["tests"]] for content in contents])  # (40, checks)
    judged = np.delete(np.arange(40), (3, 5))
    own, most = points[judged, 1], contents[0]["tests"][1]["max_score"]
    item = items[1]
    assert (len(read), item.number, item.judged) == (40, "1.2", 38)
    assert item.passed is not None and item.passed == np.mean(own == most) and item.mean == pytest.approx(own.mean())
    assert item.share == pytest.approx(own.mean() / most) and item.seconds == pytest.approx(0.2)
    rest = np.delete(points, 1, axis=1).sum(axis=1)[judged]
    assert item.discrimination == pytest.approx(stats.pearsonr(own, rest).statistic)
    assert item.discrimination is not None and item.discrimination > 0
    lost = [f"submission_{1000 + number}" for number in judged if points[number, 1] < most - 1e-9]
    assert [entry.id for entry in item.lost] == lost and 3 < len(lost) < 30
    told = Reader(written(book, tmp_path)).text.replace("\n", "")
    passed = f"{100 * item.passed:.0f}\N{NO-BREAK SPACE}%"
    row = f"1.2TransformerLayer: step by step38 {passed}{len(lost)}{', '.join(lost)}"
    assert f"{row}{own.mean():.2f} of {most:g}{item.share:.2f}{item.discrimination:.2f}0.20" in told


@pytest.mark.parametrize("top", [1, 2.5, 3, 5, 7, 10, 13, 15, 17.5, 20, 30, 35, 95, 100, 105, 125])
def test_an_axis_of_points_ends_where_the_points_end(top: float) -> None:
    values = [0, top / 3, top, top]
    for bins in (13, 20):
        figure = report.histogram("", "", values, top, bins=bins, exact=True)
        assert figure.edges[-1] == top == figure.top and figure.edges[-2] < top
        assert sum(figure.counts) == 4 and figure.counts[-1] >= 2 and len(figure.counts) <= bins
        widths = np.diff(figure.edges)
        assert np.allclose(widths[:-1], widths[0]) and widths[-1] <= widths[0] + 1e-9


def test_no_question_of_the_report_has_an_axis_beyond_its_points(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number in range(30):
        hand_in(book, number, document(number))
    page = written(book, tmp_path)
    for question in ASSIGNMENT.questions:
        figure = page[page.index(f"<figcaption>{question.number}: ") :].partition("</figure>")[0]
        labels = [float(label) for label in re.findall('class="muted" x="[^"]*" y="[^"]*">([0-9.]+)</text>', figure)]
        assert labels[0] == 0 and labels[-1] == max(labels) == question.points
        bars = [tuple(map(float, pair)) for pair in re.findall('<rect x="([^"]*)" y="[^"]*" width="([^"]*)"', figure)]
        assert bars and all(x >= 16 and x + width <= 340 - 16 for x, width in bars)


def test_a_histogram_counts_everything_once() -> None:
    figure = report.histogram("", "", [0, 0.1 + 0.2, 0.3, 0.9999, 1, 1 - 1e-9], 1, bins=10)
    assert figure.edges == pytest.approx(np.arange(11) / 10)
    assert figure.counts == (1, 0, 0, 2, 0, 0, 0, 0, 0, 3)
    for top in (0.02, 0.7, 3, 15, 35, 80, 95, 1234.5):
        values = np.random.default_rng(0).uniform(0, top, 500)
        figure = report.histogram("", "", [*values, 0, top], top)
        assert sum(figure.counts) == 502 and len(figure.counts) <= 20
        assert figure.edges[-2] < top <= figure.edges[-1]


# -------------------------------------------------------------------------------------------- groups


def prints(count: int = 40, own: int = 30) -> dict[str, np.ndarray]:
    """A class in which everybody has 20 of 60 common fingerprints and `own` ones."""
    luck = np.random.default_rng(1)
    return {
        f"s{at:02d}": np.unique(np.concatenate([luck.choice(60, 20, replace=False), 1000 * (at + 1) + np.arange(own)]))
        for at in range(count)
    }


def test_nothing_is_alike_in_an_ordinary_class() -> None:
    found = similarity.compared("a.py", prints())
    assert found is not None and found.groups == () and found.count == 40 and found.usual < 0.2


def test_copies_are_found_and_their_similarity_is_jaccards() -> None:
    everyone = prints()
    everyone["s07"] = np.union1d(everyone["s05"], [1, 2, 3, 9_000_000])  # two words more, of which one is common
    everyone["s30"] = np.union1d(everyone["s31"], np.arange(8_000_000, 8_000_006))
    everyone["s32"] = np.union1d(everyone["s31"], np.arange(7_000_000, 7_000_006))
    found = similarity.compared("a.py", everyone)
    assert found is not None and found.bound == 0.5
    assert [group.members for group in found.groups] == [("s05", "s07"), ("s30", "s31", "s32")]
    short = prints(own=7)  # what they have in common could be one idiom
    short["s07"] = short["s05"]
    compared = similarity.compared("a.py", short)
    assert compared is not None and compared.groups == ()
    assert found.groups[1].most == pytest.approx(30 / 36) and found.groups[1].least == pytest.approx(30 / 42)


def test_the_template_and_what_many_have_count_for_nothing() -> None:
    template = np.arange(5_000_000, 5_000_400)
    everyone = prints(own=3)
    for at in (1, 2, 3):
        everyone[f"s{at:02d}"] = np.union1d(everyone[f"s{at:02d}"], template)
    found = similarity.compared("a.py", everyone)
    assert found is not None and found.groups[0].members == ("s01", "s02", "s03")
    found = similarity.compared("a.py", everyone, template=template)
    assert found is not None and found.groups == ()
    for at in (4, 5):  # five of forty: more than a tenth
        everyone[f"s{at:02d}"] = np.union1d(everyone[f"s{at:02d}"], template)
    found = similarity.compared("a.py", everyone)
    assert found is not None and found.groups == ()


def test_where_all_are_alike_more_is_asked() -> None:
    """Pairs that have two thirds in common are usual here, so only a copy is far beyond."""
    everyone = {}
    for at in range(40):
        shared = 100 * (at // 2) + np.arange(8 + at // 2)
        everyone[f"s{at:02d}"] = np.union1d(shared, 10_000 * (at + 1) + np.arange(3))
    everyone["s39"] = everyone["s38"]
    found = similarity.compared("a.py", everyone)
    assert found is not None and 0.5 < found.usual < 0.8 and found.bound == 0.95
    assert [group.members for group in found.groups] == [("s38", "s39")]


def test_a_small_class_does_not_show_what_is_usual() -> None:
    assert similarity.compared("a.py", prints(9)) is None
    assert similarity.compared("a.py", {}) is None
    assert similarity.compared("a.py", prints(), template=np.concatenate(list(prints().values()))) is None


def test_hints_name_who_is_alike(book: sqlite3.Connection, tmp_path: Path) -> None:
    """Alike are 3 and 4, 10 and 11, 20 and 21; 35 and 36 are alike too, as whoever has no points is."""
    for number, own in enumerate(prints().values()):
        content = document(number, right if number < 35 else lambda _number, _place: Verdict(0.0, "Expected: code."))
        content["extra_data"]["content"] = {3: "equal", 4: "equal", 35: "blank", 36: "blank"}.get(number, f"{number}")
        own = prints()[{4: "s03", 11: "s10"}[number]] if number in (4, 11) else own
        content["extra_data"]["code"] = {"gan_vae/new.py": base64.b64encode(own.astype("<i8").tobytes()).decode()}
        notes = [f"log:{ {21: 20, 36: 35}.get(number, number):016x}"]
        content["tests"][13]["extra_data"]["notes"] = [*notes, "only 5 documents"] if number == 30 else notes
        hand_in(book, number, content, f"Student {number}")
    page = written(book, tmp_path)

    def named(begin: str, end: str) -> set[str]:
        return set(re.findall(r">submission_(\d+)<", page[page.index(begin) : page.index(end)]))

    assert named("Equal contents", "Identical logs") == {"1003", "1004"}
    assert named("Identical logs", "Code that is nearly") == {"1020", "1021"}
    assert named("Code that is nearly", "Odd values") == {"1010", "1011"}
    assert named("Odd values", "</main>") == {"1030"}


# --------------------------------------------------------------------------------------------- pages


class Reader(HTMLParser):
    """Tags in balance, attributes, and the text."""

    EMPTY = frozenset(("meta", "img", "input", "link"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("count", "make"),
    [
        *((0, document), (1, document), (3, document), (200, document), (3, refused), (30, refused)),
        *((1, lambda number: document(number, right)), (25, lambda number: document(number, right))),
    ],
)
def test_classes_of_every_kind(book: sqlite3.Connection, tmp_path: Path, count: int, make: Callable) -> None:
    for number in range(count):
        hand_in(book, number, make(number), f"Student {number}")
    page = Reader(written(book, tmp_path))
    assert f"Submissions{count}" in page.text.replace("\n", "") and "nan" not in page.text
    assert page.text.count("0.00not gradable") == (count if make is refused else 0)
    targets = {unquote(value or "") for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    ids = {(value or "") for _, name, value in page.attributes if name == "id"}
    assert {target[1:] for target in targets if target.startswith("#")} <= ids
    linked = {target for target in targets if not target.startswith("#")}
    assert linked == {f"students/submission_{1000 + number}.html" for number in range(count)}
    for target in linked:
        assert Reader((tmp_path / target).read_text()).tags >= {"h1", "table"}


def test_the_head_says_what_a_ta_wants_to_know(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number, share in enumerate((0.2, 0.4, 0.6, 0.8)):
        hand_in(book, number, document(number, lambda _number, _place, share=share: Verdict(share, "Expected: all.")))  # type: ignore[misc]
    page = Reader(written(book, tmp_path)).text
    most = sum(question.points for question in ASSIGNMENT.questions if not question.optional)
    whole = sum(question.points for question in ASSIGNMENT.questions)
    lower, middle, upper = np.quantile([0.2, 0.4, 0.6, 0.8], (0.25, 0.5, 0.75)) * most
    figures = (f"{middle:.1f} of {most:g}", f"{lower:.1f}–{upper:.1f}", f"{whole / 2:.1f}")
    for told in (*figures, "Grader 0123456789ab", "Graded 2026-11-23 07:10:00 UTC with 2 processes"):
        assert told in page
    assert "too few" in page and "For the staff" not in page


def test_the_settings_in_force_are_listed_with_the_points_of_each_question(
    book: sqlite3.Connection, tmp_path: Path
) -> None:
    """Those of the gradings that the book holds; a grader of an earlier run has no word."""
    for number in range(3):
        hand_in(book, number, document(number), "Ada")
    (grader,) = {row["grader"] for row in book.execute("SELECT grader FROM submissions")}
    written(book, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "as the homework has them" in page and "late.percent" not in page
    gradebook.keep_settings(book, grader, {"total": "30.0", "late.percent": "10.0", 'points."<b>"': "4.0"})
    gradebook.keep_settings(book, "an earlier one", {"late.percent": "50.0"})
    written(book, tmp_path)
    page = (tmp_path / "report.html").read_text()
    listed = re.search(r'<details class="settings" open>(.*?)</details>', page, re.DOTALL)
    assert listed is not None
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", listed[1]))
    assert told["<code>total</code>"] == "30.0" and told["<code>late.percent</code>"] == "10.0"
    assert told["<code>points.&#34;&lt;b&gt;&#34;</code>"] == "4.0"
    for question in ASSIGNMENT.questions:
        name = f"{question.number} {question.title}{' (optional)' if question.optional else ''}"
        assert float(told[name]) == question.points
    assert "<b>" not in listed[1]
    assert not any("late.percent" in path.read_text() for path in (tmp_path / "students").iterdir())


def test_what_needs_the_staff_stands_in_the_warning(book: sqlite3.Connection, tmp_path: Path) -> None:
    contents = [document(number) for number in range(4)]
    contents[0]["tests"][1]["extra_data"]["status"] = "grader error"
    contents[0]["extra_data"]["outcome"] = "grader error"
    contents[1]["tests"][4]["extra_data"] = {"check": contents[1]["tests"][4]["extra_data"]["check"]}
    contents[2] = gradescope.document(ASSIGNMENT, [], reason=gradescope.OUR_FAULT)
    contents[2]["extra_data"] |= {"grader": "another", "outcome": "grader error"}
    contents.append(gradescope.document(ASSIGNMENT, []))
    contents[4]["extra_data"] |= {"grader": "another", "outcome": "graded"}
    for number, content in enumerate(contents):
        hand_in(book, number, content)
    hand_in(book, 5, refused(5))
    odd = document(6)
    odd["tests"][2]["extra_data"]["status"] = odd["extra_data"]["outcome"] = "unjudgeable"
    hand_in(book, 6, odd)
    page = written(book, tmp_path)
    workspace = page[page.index("For the staff") : page.index("<nav")]
    joined = Reader(f"<div>{workspace[: workspace.rindex('</aside>')].partition('</h2>')[2]}</div>").text.replace(
        "\n", ""
    )
    checks = [check.name for check in ASSIGNMENT.questions[0].checks]
    first = joined.partition("happenedWhere")[2]
    assert first.startswith(f"1.3 {checks[2]}could not be judgedsubmission_1006all checksgrader")  # these come first
    assert "all checksgrader errorsubmission_1002" in joined
    assert f"1.2 {checks[1]}grader errorsubmission_1000" in joined
    assert f"1.5 {checks[4]}not reachedsubmission_1001submission_1004" in joined
    assert f"1.6 {checks[5]}not reachedsubmission_1004" in joined
    assert "Not gradable1Grader errors2" in Reader(page).text.replace("\n", "")
    assert (
        "submission_1003" not in workspace
        and "submission_1005" not in workspace
        and "More than one version of the grader" in page
    )


def test_pages_are_replaced_and_removed(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number in range(3):
        hand_in(book, number, document(number))
    before = written(book, tmp_path)
    (tmp_path / "students" / ".x.html.new").write_text("left by a kill")
    (tmp_path / "students" / "notes.txt").write_text("somebody's own")
    book.execute("DELETE FROM submissions WHERE id = 'submission_1001'")
    with (tmp_path / "report.html").open() as reading:
        assert written(book, tmp_path) != before == reading.read()  # whoever reads the old one reads on
    left = {path.name for path in (tmp_path / "students").iterdir()}
    assert left == {"submission_1000.html", "submission_1002.html", "notes.txt", report.KEYS}
    assert not list(tmp_path.glob(".*.new"))


def test_a_students_page_says_what_the_student_sees_and_no_more(book: sqlite3.Connection, tmp_path: Path) -> None:
    content = document(0)
    content["output"] = "One remark.\nAnother remark."
    hand_in(book, 0, content, "Ada Abel")
    hand_in(book, 1, document(1), "Bo Berg")
    assert report.handout(book, ASSIGNMENT, tmp_path / "handout") == 2
    text = (tmp_path / "handout" / "submission_1000.html").read_text()
    assert "href=" not in text.replace('href="#q', "")
    page = Reader(text).text
    for test in content["tests"]:
        assert all(" ".join(part.split()) in page for part in gradescope.message_of(test).lines)
        assert "score" not in test or f"{round(test['score'], 2):g} of {test['max_score']:g}" in page
    assert "Ada Abel" in page and "One remark.\nAnother remark." in page
    notes = [note for test in content["tests"] for note in test["extra_data"].get("notes", ())]
    assert len(notes) == 2
    for foreign in ("Bo Berg", "submission_1001", "mistake_", "0@example.edu", "s000000", *notes):
        assert foreign not in page


def test_hidden_checks_are_not_on_a_students_page(book: sqlite3.Connection, tmp_path: Path) -> None:
    hand_in(book, 0, document(0))
    first, *others = ASSIGNMENT.questions
    checks = (replace(first.checks[0], visibility="hidden"), *first.checks[1:])
    hiding = replace(ASSIGNMENT, questions=(replace(first, checks=checks), *others))
    report.handout(book, hiding, tmp_path / "handout")
    page = (tmp_path / "handout" / "submission_1000.html").read_text()
    assert first.checks[0].name not in page and first.checks[1].name in page
    report.write(book, hiding, tmp_path)
    page = Reader((tmp_path / "students" / "submission_1000.html").read_text()).text
    assert f"{first.checks[0].name} (hidden from students)" in page and "for the staff only" in page


def test_nobody_is_named_in_an_example(book: sqlite3.Connection, tmp_path: Path) -> None:
    content = document(0, right)
    content["tests"][0]["extra_data"]["diagnoses"] = ["raised"]
    told = "no file /home/ada/Abel_0@example.edu/x, written by ADA ABEL, s000000; abelian"
    helpers.say(content["tests"][0], told)
    hand_in(book, 0, content, "Ada Abel")
    page = written(book, tmp_path)
    section = page[page.index('id="misconceptions"') : page.index('id="time"')]
    assert re.findall('class="message">([^<]*)', section) == [
        "no file /home/(name)/(name)_(name)/x, written by (name), (name); abelian"
    ]


def test_the_slowest_are_named(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number, seconds in enumerate((3.0, 9.0, 1.0, 7.0, 5.0, 8.0, 2.0)):
        content = document(number) | {"execution_time": seconds}
        content["extra_data"] |= {"cpu": seconds / 2, "memory": int(seconds * 2**20)} if number != 3 else {"cpu": None}
        hand_in(book, number, content)
    page = written(book, tmp_path)
    section = Reader(
        page[page.index('<h3 id="slowest"') : page.index("</table>", page.index("slowest"))] + "</table></div>"
    ).text
    rows = [line for line in section.split("\n") if line.startswith("submission_")]
    assert rows[:2] == ["submission_10019.04.59", "submission_10058.04.08"]
    assert [row[:15] for row in rows[2:]] == [f"submission_{number}" for number in (1003, 1004, 1000)]


def test_what_the_homework_no_longer_asks_is_left_out(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number in range(3):
        hand_in(book, number, document(number))
    report.write(book, replace(ASSIGNMENT, questions=ASSIGNMENT.questions[1:]), tmp_path)
    told = Reader((tmp_path / "report.html").read_text()).text
    assert ASSIGNMENT.questions[0].checks[0].name not in told and ASSIGNMENT.questions[1].checks[0].name in told


def test_misconceptions_are_counted_by_submission(book: sqlite3.Connection, tmp_path: Path) -> None:
    for number, places in enumerate([(0, 1), (0,), (1,), ()]):
        content = document(number, right)
        for place in places:
            test = content["tests"][place]
            test["extra_data"]["diagnoses"] = ["z_often"]
            helpers.say(test, f"said {place}")
        if number == 1:
            content["tests"][2]["extra_data"]["diagnoses"] = ["a_once"]
        hand_in(book, number, content)
    found = report._diagnoses(ASSIGNMENT, report.entries(book, ASSIGNMENT))
    lines = [(one.name, [entry.id[-4:] for entry in one.entries], one.checks, one.example) for one in found]
    assert lines == [
        ("z_often", ["1000", "1001", "1002"], ("1.1", "1.2"), "said 0"),
        ("a_once", ["1001"], ("1.3",), "As expected."),
    ]


def test_what_is_missing_is_no_misconception_and_each_says_who(book: sqlite3.Connection, tmp_path: Path) -> None:
    kinds = ("unfilled", "missing", "raised", "deadline", "swapped")
    for number, kind in enumerate(kinds):
        content = document(number, right)
        content["tests"][0]["extra_data"]["diagnoses"] = [kind]
        hand_in(book, number, content, f"Student {number}")
    page = written(book, tmp_path)
    for name, expected in (("misconceptions", {4}), ("broken", {2, 3}), ("absent", {0, 1})):
        section = page[page.index(f'<h2 id="{name}"') :].partition("</section>")[0]
        assert set(re.findall("<code>([^<]*)", section)) == {kinds[number] for number in expected}
        whose = {f"students/submission_{1000 + number}.html" for number in expected}
        assert set(re.findall('href="([^"]*)"', section)) == whose


@pytest.fixture(scope="module")
def hostile(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report on a class whose names, messages, notes, files and remarks are out to harm."""
    folder = tmp_path_factory.mktemp("hostile")
    with Gradebook(Path(shutil.copy(begun, folder))).open() as book:
        for number, text in enumerate(HOSTILE * 2):
            content = document(number)
            content["output"] = text
            for test in content["tests"]:
                helpers.say(test, text)
                test["extra_data"]["diagnoses"], test["extra_data"]["notes"] = [text], [text]
            content["extra_data"]["grader"] = content["extra_data"]["isolation"] = text
            luck = np.random.default_rng(number // 2).integers(0, 2**40, 50)
            content["extra_data"]["code"] = {
                text[:100]: base64.b64encode(np.sort(luck).astype("<i8").tobytes()).decode()
            }
            content["extra_data"]["code"]["same" + HOSTILE[0]] = content["extra_data"]["code"][text[:100]]
            hand_in(book, number, content, text, text[::-1])
        hand_in(book, 99, refused(99) | {"output": HOSTILE[0]}, HOSTILE[1])
        report.write(book, ASSIGNMENT, folder)
    return folder


def test_hostile_text_is_text(hostile: Path) -> None:
    ours = "html head meta title style body header main section aside nav p h1 h2 h3 div dl dt dd small span a"
    ours += " abbr table thead tbody tr th td ul li bdi details summary figure figcaption svg rect line"
    ours += " text code strong script form label input select option button output pre ol ul br"
    for path in [hostile / "report.html", *(hostile / "students").glob("*.html")]:
        text = path.read_text()
        page = Reader(text)
        assert page.tags <= set(ours.split())
        assert text.count("<script") == 2 * (path.name == "report.html")
        names = {name for _, name, _ in page.attributes}
        assert not {name for name in names if name.startswith("on")} and not names & {"style", "src", "srcset"}
        assert DIRECTING.search(text) is None and "1337" not in text
        targets = [value or "" for _, name, value in page.attributes if name in ("href", "action")]
        own = ("#", "students/submission_", "submission_", "../report.html#submissions")
        assert all(target.startswith(own) for target in targets)
    told = Reader((hostile / "report.html").read_text()).text
    assert all(text in told for text in (HOSTILE[0], HOSTILE[1], "evil name", HOSTILE[3], HOSTILE[4]))


def test_the_pages_allow_nothing_but_their_own_style_and_script(hostile: Path) -> None:
    for path in (hostile / "report.html", hostile / "students" / "submission_1000.html"):
        text = path.read_text()
        policy = html.unescape(re.findall('Content-Security-Policy" content="([^"]*)"', text)[0])
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        inline = {kind: re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL) for kind in ("style", "script")}
        assert rules["style-src"] == f"'{pages.digest(inline['style'][0])}'"
        scripts = [f"'{pages.digest(script)}'" for script in inline["script"]] or ["'none'"]
        assert rules["script-src"] == " ".join(scripts)
        assert re.search(r"url\(|@import|http-equiv=.refresh|https?://", text) is None


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_all_text_has_enough_contrast_in_both_schemes() -> None:
    style = (pages.HERE / "style.css").read_text()
    found = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", style)
    colours = {name: pair for name, *pair in found}
    assert len(colours) == style.count("light-dark(") and not re.search("#[0-9a-f]{3,6}", style.partition("}")[2])
    for name in ("text", "muted", "accent", "warning"):
        for back in ("page", "raised"):
            for scheme in (0, 1):
                darker, lighter = sorted(_luminance(colours[which][scheme]) for which in (name, back))
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (name, back, scheme)


# --------------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


COLUMN = """(table, column) => [...document.querySelectorAll("table.sortable")[table].tBodies[0].rows].map(
    (row) => row.cells[column].textContent)"""


@pytest.mark.slow
@pytest.mark.browser
def test_of_many_submissions_the_first_are_shown(browser: Browser, book: sqlite3.Connection, tmp_path: Path) -> None:
    """200 of 203 in the order that is chosen; the others are found, printed, and shown on request."""
    content = document(0)
    for number in range(203):
        hand_in(book, number, content, f"Student {number:03}")
    written(book, tmp_path)
    browser.open(tmp_path / "report.html")
    shown = "[...document.querySelectorAll('table.found tbody tr')].filter((row) => row.offsetHeight).length"
    says = "document.querySelector('form.finder output').textContent"
    last = "document.querySelector('table.found tbody tr:last-child').offsetHeight > 0"
    assert browser.value(shown) == 200
    assert browser.value(says) == "203 of 203 submissions, the first 200 are shown"
    assert not browser.value(last)
    name = "document.querySelector('table.found thead th:nth-child(2) button')"
    browser.value(f"{name}.click()")
    browser.value(f"{name}.click()")  # the other way round: whoever was last is first
    assert browser.value("document.querySelector('table.found tbody tr').textContent").count("Student 202") == 1
    assert browser.value(shown) == 200
    typed = "const text = document.querySelector('form.finder').elements.text; text.value = 'student submission_1202';"
    browser.value(f"(() => {{ {typed} text.dispatchEvent(new Event('input', {{bubbles: true}})); }})()")
    assert browser.value(shown) == 1
    assert browser.value(says) == "1 of 203 submissions"
    browser.value("document.querySelector('form.finder').reset()")
    browser.value("new Promise((done) => setTimeout(done, 50))")
    assert browser.value(shown) == 200
    browser.value("document.querySelector('form.finder button.more').click()")
    assert browser.value(shown) == 203
    assert browser.value("document.querySelector('form.finder button.more').hidden")
    browser.open(tmp_path / "report.html")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.value(shown) == 203
    browser.ask("Emulation.setEmulatedMedia", media="")
    assert browser.complaints() == []


@pytest.mark.browser
def test_the_report_opens_quietly_and_sorts(browser: Browser, book: sqlite3.Connection, tmp_path: Path) -> None:
    contents = [document(number) for number in range(30)] + [refused(30)]
    for number, content in enumerate(contents):
        hand_in(book, number, content, f"Student {30 - number}")
    written(book, tmp_path)
    browser.open(tmp_path / "report.html")
    assert browser.complaints() == []
    assert browser.requests() == [(tmp_path / "report.html").as_uri()]
    fits = '[...document.querySelectorAll(".scroll")].every((each) => each.scrollWidth <= each.clientWidth)'
    assert browser.value(fits)
    scores = [f"{content['score']:.2f}" for content in contents]
    head = 'document.querySelectorAll("table.sortable")[0].tHead.rows[0].cells'
    assert browser.value(f"({COLUMN})(0, 2)") == scores
    browser.value(f"{head}[2].firstChild.click()")
    assert browser.value(f"({COLUMN})(0, 2)") == sorted(scores, key=float, reverse=True)
    assert browser.value(f"{head}[2].ariaSort + ' ' + {head}[0].ariaSort") == "descending null"
    browser.value(f"{head}[2].firstChild.click()")
    assert browser.value(f"({COLUMN})(0, 2)") == sorted(scores, key=float)
    browser.value(f"{head}[1].firstChild.focus()")  # from the keyboard
    for kind in ("keyDown", "keyUp"):
        browser.ask("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    names = [f"Student {number}" for number in range(31)]
    assert browser.value(f"({COLUMN})(0, 1)") == names
    # The numbers of checks go by place, not as decimals.
    browser.value('document.querySelectorAll("table.sortable")[1].tHead.rows[0].cells[0].firstChild.click()')
    numbers = browser.value(f"({COLUMN})(1, 0)")
    assert numbers == [test["number"] for test in reversed(contents[0]["tests"])]
    browser.value('document.querySelectorAll("table.sortable")[1].tHead.rows[0].cells[6].firstChild.click()')
    shares = browser.value(f"({COLUMN})(1, 6)")
    judged = [share for share in shares if share]  # what a person reads has none, and stands last
    assert shares == sorted(judged, key=float, reverse=True) + [""] * (len(shares) - len(judged))
    assert len(set(judged)) > 5
    browser.events.clear()
    browser.value('document.querySelector("#submissions ~ .scroll tbody a").click()')
    browser.wait("Page.loadEventFired")
    assert browser.value("location.pathname").endswith("/students/submission_1030.html")
    assert "There is no Python file" in browser.value("document.body.innerText") and browser.complaints() == []


@pytest.mark.browser
def test_without_javascript_nothing_is_missing(browser: Browser, book: sqlite3.Connection, tmp_path: Path) -> None:
    for number in range(3):
        hand_in(book, number, document(number))
    written(book, tmp_path)
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(tmp_path / "report.html")
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.value('document.querySelectorAll("button:not([hidden] *)").length') == 0
    assert browser.value('document.querySelectorAll("#submissions ~ .scroll tbody a").length') == 3


@pytest.mark.browser
def test_hostile_text_harms_no_browser(browser: Browser, hostile: Path) -> None:
    for path in (hostile / "report.html", *sorted((hostile / "students").glob("*.html"))):
        browser.open(path)
        assert browser.complaints() == [] and browser.requests() == [path.as_uri()]
        assert browser.value("document.images.length") == 0 and browser.value("document.title") != "taken"
        for width in (1200, 400):  # long names wrap: tables may scroll, the page does not
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.ask("Emulation.setDeviceMetricsOverride", **size)
            assert browser.value("document.documentElement.scrollWidth") <= width
        browser.ask("Emulation.clearDeviceMetricsOverride")
    assert HOSTILE[0] in browser.value("document.body.innerText")


@pytest.mark.browser
def test_colours_follow_the_reader_and_paper_is_light(browser: Browser, hostile: Path) -> None:
    browser.open(hostile / "report.html")
    seen = {}
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "dark")):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.ask("Emulation.setEmulatedMedia", media=media, features=features)
        seen[media, scheme] = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])
    assert seen["screen", "light"] == seen["print", "dark"] == "rgb(255, 255, 255)"
    assert seen["screen", "dark"] == "rgb(21, 24, 28)"
