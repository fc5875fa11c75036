"""Written answers get points: in the gradebook, on a page, in a browser, by a spreadsheet; and who attacks the page."""

from __future__ import annotations

import csv
import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograder.classroom import byhand, gradebook, kept, publish, report
from autograder.classroom.byhand import Conflict, SaveRefused
from autograder.classroom.records import Records
from autograder.classroom.review import server
from autograder.classroom.review.store import Desk
from autograder.classroom.roster import Upload
from autograder.core import LEFT_EMPTY
from autograder.hw11 import ASSIGNMENT
from autograder.intake.metadata import RosterStudent
from tests import helpers
from tests.classroom.browser import Browser, opened
from tests.classroom.test_report import HOSTILE, document

QUESTION = next(question for question in ASSIGNMENT.questions if question.id == "gan")
WRITTEN = next(check for check in QUESTION.checks if check.manual)
GRADED = QUESTION.checks[0]
NOW = "2026-11-30T10:00:00+00:00"
ANSWER = "The discriminator:\nSet the derivative to zero.\n\nIt is p / (p + q)."


def picture(width: int = 4, height: int = 4) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(min(height, 64))))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


FILES = {
    "gan_vae/models/gan.py": (helpers.REFERENCE / "gan_vae/models/gan.py").read_bytes(),
    "gan_vae/gan_samples.png": picture(),
}


def made(
    out: Path, answers: list[str], *, names: list[str] | None = None, files: dict[str, bytes] | None = None
) -> Path:
    """A folder as `class` leaves it, with one submission for each answer; "" stands for an empty one."""
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        run = gradebook.begin(book, ASSIGNMENT, grader="0123456789ab", jobs="", question="", now=NOW)
        gradebook.note(book, "homework", "autograder.hw11")
        for number, answer in enumerate(answers):
            content = document(number)
            for test in content["tests"]:
                if test["extra_data"]["check"] == WRITTEN.id:
                    test["output"] = answer or "Proofs: no answer was given."
                    test["extra_data"] |= {"diagnoses": [], "notes": [] if answer else [LEFT_EMPTY]}
            name = names[number] if names else f"Student {number}"
            students = (RosterStudent(name, f"s{number:03d}", f"{number}@example.edu"),)
            upload = Upload(f"submission_{number}", Path("x.zip"), students=students)
            Records(out).save(upload.id, content)
            gradebook.record(book, upload, content, run)
            held = kept.Kept(f"{number:032x}", files or FILES, printed={GRADED.id: "loss 0.69"})
            kept.Store(out).save(upload.id, held.packed())
        gradebook.finish(book, run, graded=len(answers), now=NOW)
        publish.everything(book, ASSIGNMENT, out)
    return out


def give(out: Path, number: int, points: float | None, comment: str = "", *, version: int = 0, check=WRITTEN) -> int:
    with gradebook.Gradebook(out / publish.BOOK).open() as book, byhand.writing(book):
        most = byhand.worth(book, ASSIGNMENT)[check.id]
        return byhand.save(
            *(book, f"submission_{number}", check), points=points, comment=comment, version=version, author="Ada",
            now=NOW, most=most,
        ).version  # fmt: skip


def worth(out: Path, points: float) -> None:
    with gradebook.Gradebook(out / publish.BOOK).open() as book, byhand.writing(book):
        byhand.set_worth(book, WRITTEN, points)


def published(out: Path) -> None:
    found = publish.opened(out)
    with found.book.open() as book:
        publish.everything(book, found.assignment, out)


def grades(out: Path) -> list[dict[str, str]]:
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def result(out: Path, number: int) -> dict:
    return json.loads((out / "results" / f"submission_{number}.json").read_text())


def check_of(content: dict, check: str) -> dict:
    return next(test for test in content["tests"] if test["extra_data"]["check"] == check)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return made(tmp_path, [ANSWER, "", ANSWER])


# ---------------------------------------------------------------------------------------- the gradebook


def test_points_and_comments_come_where_they_are_read(out: Path) -> None:
    before = [float(row["Total Score"]) for row in grades(out)]
    worth(out, 5)
    give(out, 0, 3.5, "The last step\nis missing.")
    give(out, 1, None, "See me.")
    published(out)
    rows = grades(out)
    assert float(rows[0]["Total Score"]) == pytest.approx(before[0] + 3.5)
    assert float(rows[0]["5: GAN (20 pts)"]) == pytest.approx(result_points(out, 0) + 3.5)
    assert rows[0]["Comments"] == "5.11: The last step is missing." and rows[1]["Comments"] == "5.11: See me."
    assert float(rows[1]["Total Score"]) == before[1] and float(rows[0]["Max Points"]) == ASSIGNMENT.points
    content = helpers.is_valid_results(out / "results" / "submission_0.json")
    given = check_of(content, WRITTEN.id)
    assert (given["score"], given["max_score"], given["status"]) == (3.5, 5, "failed")
    assert given["output"].endswith("Comment of the course staff: The last step\nis missing.")
    assert "(for manual grading)" not in given["name"]
    said = check_of(helpers.is_valid_results(out / "results" / "submission_1.json"), WRITTEN.id)
    assert "score" not in said and said["output"].endswith("See me.")
    page = (out / "students" / "submission_0.html").read_text()
    assert "3.5 of 5" in page and "is missing." in page and "to be read" not in section(page, "5: GAN")
    assert "left empty" in section((out / "students" / "submission_1.html").read_text(), "5: GAN")
    assert "to be read" in section((out / "students" / "submission_2.html").read_text(), "5: GAN")


def result_points(out: Path, number: int) -> float:
    """What the grader gave in the question."""
    return sum(
        test["score"]
        for test in result(out, number)["tests"]
        if test["tags"] == ["gan"] and test["extra_data"]["check"] != WRITTEN.id
    )


def section(page: str, title: str) -> str:
    return page[page.index(f"Question {title}") :].partition("</section>")[0]


def test_no_answer_has_a_tick(out: Path) -> None:
    for number in range(3):
        own = section((out / "students" / f"submission_{number}.html").read_text(), "5: GAN")
        assert "✓" not in own[own.index('class="written"') :].partition("</div>")[0]


def test_what_people_gave_survives_regrading_and_a_new_upload_is_told(out: Path) -> None:
    worth(out, 5)
    give(out, 0, 4, "Good.")
    content = document(0)
    content["extra_data"]["content"] = "another upload"
    check_of(content, WRITTEN.id)["output"] = "Better."
    upload = Upload("submission_0", Path("x.zip"))
    Records(out).save(upload.id, content)
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        gradebook.begin(book, ASSIGNMENT, grader="another", jobs="", question="", now=NOW)
        gradebook.record(book, upload, content, None)
        gradebook.keep_only(book, [upload])
        entry = report.entries(book, ASSIGNMENT)[0]
    published(out)
    assert entry.score(WRITTEN) == 4 and entry.state(WRITTEN) == "changed since"
    assert check_of(result(out, 0), WRITTEN.id)["score"] == 4
    assert "Another upload has come" in (out / "students" / "submission_0.html").read_text()


def test_a_grading_reads_its_own_word_in_results_that_people_changed(out: Path) -> None:
    graded = [result(out, number) for number in range(3)]
    worth(out, 5)
    give(out, 0, 5, "All right.")
    give(out, 0, 0, "Not what was asked.", check=GRADED)
    published(out)
    changed = result(out, 0)
    assert changed != graded[0] and check_of(changed, GRADED.id)["score"] == 0
    assert changed["score"] == pytest.approx(graded[0]["score"] + 5 - check_of(graded[0], GRADED.id)["score"])
    assert [Records(out).load(f"submission_{number}") for number in range(3)] == graded
    with gradebook.Gradebook(out / publish.BOOK).open() as book:  # what a run does at its end with every result
        gradebook.record(book, Upload("submission_0", Path("x.zip")), changed, None)
        row = book.execute("SELECT score FROM submissions WHERE id = 'submission_0'").fetchone()
    assert row["score"] == graded[0]["score"]
    give(out, 0, None, "", version=1)
    give(out, 0, None, "", version=1, check=GRADED)
    published(out)
    assert result(out, 0) == graded[0]


def test_a_state_that_somebody_else_changed_is_not_written_over(out: Path) -> None:
    worth(out, 5)
    assert give(out, 0, 3, "Ada's") == 1
    with pytest.raises(Conflict) as conflict:
        give(out, 0, 5, "Bo's")
    assert conflict.value.row is not None and conflict.value.row.comment == "Ada's"
    assert give(out, 0, 5, "Bo's", version=1) == 2
    assert give(out, 0, 5, "Bo's", version=2) == 2, "what changes nothing is no change"


@pytest.mark.parametrize("points", [-1.0, 5.01, float("nan"), float("inf")])
def test_points_that_cannot_be_are_refused(out: Path, points: float) -> None:
    worth(out, 5)
    with pytest.raises(SaveRefused):
        give(out, 0, points)
    give(out, 0, 5)
    with pytest.raises(SaveRefused, match="5 points for this answer"):
        worth(out, 4)
    with pytest.raises(SaveRefused), gradebook.Gradebook(out / publish.BOOK).open() as book:
        byhand.set_worth(book, GRADED, 100)


def test_a_class_is_as_large_as_its_answers_are_worth(out: Path) -> None:
    worth(out, 5)
    published(out)
    page = (out / "report.html").read_text()
    figure = page[page.index("<figcaption>5: GAN") :].partition("</figure>")[0]
    assert re.findall(r">([0-9.]+)</text>\s*</svg>", figure) == ["20"]
    others = 3 * sum(check.manual for question in ASSIGNMENT.questions for check in question.checks if check != WRITTEN)
    assert f">{others + 2}</dd>" in page[page.index("Answers to be read") :][:60]


# --------------------------------------------------------------------------------------- the spreadsheet


def run(*arguments: object) -> tuple[int, str, str]:
    from autograder.__main__ import main

    said, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(errors):
        status = main(list(map(str, arguments)))
    return status, said.getvalue(), errors.getvalue()


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def write(path: Path, rows: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("delimiter", "encoding", "point"), [(",", "utf-8", "."), (";", "utf-8-sig", ","), ("\t", "utf-8", ".")]
)
def test_a_table_goes_out_and_comes_back(out: Path, tmp_path: Path, delimiter: str, encoding: str, point: str) -> None:
    worth(out, 5)
    give(out, 2, 1, "Two\nlines")
    file = tmp_path / "answers.csv"
    status, said, _ = run("review", out, "--export", file)
    rows = table(file)
    own = [row for row in rows if row["Check"] == WRITTEN.id]
    assert (status, [row["State"] for row in own]) == (0, ["to be read", "left empty", "read"]) and str(
        len(rows)
    ) in said
    assert own[0]["Answer"] == " ".join(ANSWER.split()) and own[2]["Comment"] == "Two lines"
    own[0]["Points"], own[0]["Comment"] = f"2{point}5", "=1+1 is no proof"
    write(file, rows, delimiter, encoding)
    status, said, errors = run("review", out, "--import", file, "--name", "Bo")
    assert (status, errors) == (0, "") and "1 change saved" in said
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        marks = byhand.marks(book)
    assert marks["submission_0"][WRITTEN.id].points == 2.5 and marks["submission_0"][WRITTEN.id].author == "Bo"
    assert marks["submission_2"][WRITTEN.id].comment == "Two\nlines", "a table has no line breaks, and changes none"
    assert float(grades(out)[0]["5: GAN (20 pts)"]) == pytest.approx(result_points(out, 0) + 2.5)
    assert not any(value.startswith("=") for value in grades(out)[0].values())


def test_a_table_without_names_comes_back_too(out: Path, tmp_path: Path) -> None:
    worth(out, 5)
    file = tmp_path / "answers.csv"
    run("review", out, "--export", file, "--anonymous")
    assert not re.search("Student|submission_|example", file.read_text())
    rows = table(file)
    for row in rows:
        row["Points"] = "5" if row["Check"] == WRITTEN.id and row["State"] == "to be read" else ""
    write(file, rows)
    assert run("review", out, "--import", file)[0] == 0
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        assert {name: marks[WRITTEN.id].points for name, marks in byhand.marks(book).items()} == {
            "submission_0": 5, "submission_2": 5,
        }  # fmt: skip


def test_what_was_changed_after_the_table_was_written_stays(out: Path, tmp_path: Path) -> None:
    worth(out, 5)
    file = tmp_path / "answers.csv"
    run("review", out, "--export", file)
    give(out, 0, 1, "Ada's")
    rows = table(file)
    for row in rows:
        if row["Check"] == WRITTEN.id:
            row["Points"] = "4"
    write(file, rows)
    status, said, errors = run("review", out, "--import", file)
    assert status == 2 and "2 changes saved" in said and "submission_0" in errors and "Ada" in errors
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        assert [byhand.marks(book)[f"submission_{number}"][WRITTEN.id].points for number in range(3)] == [1, 4, 4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Points": "6"}, "that this answer is worth"),
        ({"Points": "four"}, "Expected: a number"),
        ({"Points": "nan"}, "finite"),
        ({"Check": "gan.nothing"}, "there is no check"),
        ({"Submission": "nobody"}, "there is no submission"),
        ({"Submission": "../../x"}, "there is no submission"),
    ],
)
def test_a_table_that_makes_no_sense_changes_nothing(out: Path, tmp_path: Path, change: dict, told: str) -> None:
    worth(out, 5)
    file = tmp_path / "answers.csv"
    run("review", out, "--export", file)
    rows = [row for row in table(file) if row["Check"] == WRITTEN.id]
    rows[0]["Points"] = "4"
    rows[2] |= change
    write(file, rows)
    status, _, errors = run("review", out, "--import", file)
    assert status == 2 and told in errors and "Line 4" in errors and "Nothing was changed" in errors
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        assert byhand.marks(book) == {}


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'Submission,Check,Points,Comment\n"x'])
def test_what_is_no_table_is_told(out: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "answers.csv").write_bytes(data)
    status, _, errors = run("review", out, "--import", tmp_path / "answers.csv")
    assert status == 2 and "answers.csv" in errors and "Traceback" not in errors


def test_a_folder_without_a_gradebook_is_told(tmp_path: Path) -> None:
    for name in ("review", "report"):
        status, _, errors = run(name, tmp_path)
        assert status == 2 and "There is no gradebook" in errors


# ------------------------------------------------------------------------------------- who may ask what

TOKEN = "the-token-of-this-test"


@dataclass(frozen=True)
class Served:
    """A page that is served: where, and the class behind it."""

    out: Path
    port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/{TOKEN}"

    def ask(
        self, path: str, told: object = None, *, token: str = TOKEN, method: str = "", raw: bytes | None = None,
        **headers: str | None,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """Status, headers and body. What is told is sent as JSON from the page's own origin, unless headers differ."""
        own = f"127.0.0.1:{self.port}"
        body = raw if raw is not None else None if told is None else json.dumps(told).encode()
        sent: dict[str, str | None] = {"Host": own}
        if body is not None:
            sent |= {"Origin": f"http://{own}", "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.putrequest(method or ("GET" if body is None else "POST"), f"/{token}{path}", skip_host=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def save(self, number: int, points: float | None, comment: str = "", version: int = 0, **more: object) -> int:
        told = {"check": WRITTEN.id, "handle": byhand.handle(f"submission_{number}"), "points": points}
        return self.ask("/save", {**told, "comment": comment, "version": version, **more})[0]


@contextmanager
def serving(out: Path, author: str = "Ada") -> Iterator[Served]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        app = server.application(Desk(publish.opened(out), author), TOKEN, port)
        running = server.quiet(app)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Served(out, port)
        finally:
            running.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def hostile_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers, names, messages and files that are out to harm."""
    files = {f"gan_vae/models/{name}.py": HOSTILE[0].encode() for name in ("gan", "'\"><img src=x>")}
    files["gan_vae/models/gan.py"] = "\n".join(HOSTILE[:5]).encode() + b"\n\xff\xfe\0" + b"x" * 5000
    files["gan_vae/gan_samples.png"] = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    files["gan_vae/gan_samples-2.png"] = picture(60000, 60000)
    files["gan_vae/gan_samples-3.png"] = picture() + HOSTILE[0].encode()
    out = tmp_path_factory.mktemp("hostile")
    return made(out, list(HOSTILE[:5]), names=list(HOSTILE[:5]), files=files)


@pytest.fixture(scope="module")
def served(hostile_class: Path) -> Iterator[Served]:
    worth(hostile_class, 5)
    with serving(hostile_class) as found:
        yield found


def saved(out: Path) -> dict:
    with gradebook.Gradebook(out / publish.BOOK).open() as book:
        return byhand.marks(book)


FORGED = [
    {"Host": "evil.example"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1.evil.example:{port}"},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:1"},
    {"Host": "[::1]:{port}"},
    {"Host": ""},
    {"Host": None},
]
"""What a name that was made to lead here (DNS rebinding), or a proxy, would send."""


@pytest.mark.parametrize("forged", FORGED)
def test_no_other_name_leads_here(served: Served, forged: dict[str, str | None]) -> None:
    headers: Any = {name: value and value.format(port=served.port) for name, value in forged.items()}
    for path, told in (("/", None), ("/q/gan/", None), ("/save", {"check": WRITTEN.id})):
        status, _, body = served.ask(path, told, **headers)
        assert status in (400, 421) and b"Homework" not in body and TOKEN.encode() not in body
    assert served.ask("/", Host=f"localhost:{served.port}")[0] == 200


@pytest.mark.parametrize(
    "token", ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "%00", "..%2f", "\u00e9".encode().hex(), "favicon.ico"]
)
def test_without_the_token_nothing_is_answered(served: Served, token: str) -> None:
    for path, told in (("/", None), ("/review.js", None), ("/q/gan/", None), ("/save", {"check": WRITTEN.id})):
        status, _, body = served.ask(path, told, token=token)
        assert (status, body) == (404, b"Not found.")
    assert served.ask("/")[0] == 200


@pytest.mark.parametrize(
    "forged",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": None},
    ],
)
def test_no_other_page_can_save(served: Served, forged: dict[str, str | None]) -> None:
    """A form, or a script with the token, of another origin; also one on another port of this machine."""
    headers: Any = {name: value and value.format(port=served.port) for name, value in forged.items()}
    before = saved(served.out)
    told = {"check": WRITTEN.id, "handle": byhand.handle("submission_4"), "points": 5, "comment": "", "version": 0}
    for path in ("/save", "/worth", "/write"):
        assert served.ask(path, told, **headers)[0] in (403, 415)
    assert saved(served.out) == before


def test_another_sites_link_opens_nothing(served: Served) -> None:
    for site, expected in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
        assert served.ask("/", Sec_Fetch_Site=site)[0] == expected
    assert served.ask("/", Origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../gradebook.sqlite", "/..%2f..%2fgradebook.sqlite", "//etc/passwd", "/q/..%2f..%2f/x", "/q/gan/..%2f..%2fx",
        "/q/gan/submission_0", "/q/nothing/", "/picture/gan/..%2f..%2fx/0", "/picture/gan/HANDLE/99",
        "/picture/gan/HANDLE/-1", "/picture/gan/HANDLE/1e9", "/picture/..%2f/HANDLE/0", "/review.css/..%2fx",
        "/static/x", "/results/submission_0.json", "/kept/submission_0.zip", "/q/gan/%00", "/q/gan/%ff%fe",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(served: Served, path: str) -> None:
    status, headers, body = served.ask(path.replace("HANDLE", byhand.handle("submission_0")))
    assert status in (400, 404) and len(body) < 200 and b"SQLite" not in body and b"root:" not in body
    assert "default-src 'none'" in headers.get("content-security-policy", "default-src 'none'")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b"{", b"\xff", b"[" * 60000, b'{"check": 1}', b"x" * (server.MOST_BODY + 1),
        b'{"check": "gan.written", "handle": "x", "comment": "", "version": true}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": "5"}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": true}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": NaN}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": 1e999}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": -1}',
        b'{"check": "gan.written", "handle": "HANDLE", "comment": "", "version": 0, "points": 5.5}',
        b'{"check": "gan.nothing", "handle": "HANDLE", "comment": "", "version": 0, "points": 5}',
    ],
)  # fmt: skip
def test_what_the_page_does_not_send_is_refused(served: Served, raw: bytes) -> None:
    raw = raw.replace(b"HANDLE", byhand.handle("submission_4").encode())
    before = saved(served.out)
    status, _, body = served.ask("/save", raw=raw)
    assert status in (404, 422) and json.loads(body)["fault"] and saved(served.out) == before


def test_every_answer_forbids_what_it_does_not_need(served: Served) -> None:
    handle = byhand.handle("submission_0")
    for path in ("/", f"/q/gan/{handle}", "/review.js", "/review.css", "/icon.svg", "/nothing"):
        _, headers, _ = served.ask(path)
        rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == "'self'"
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["cache-control"] == "no-store" and "server" not in headers and "set-cookie" not in headers


def test_only_pictures_are_shown_as_pictures(served: Served) -> None:
    """An SVG that is called PNG is none, nor is one of 3.6 gigapixels; what hangs behind a PNG stays its bytes."""
    handle = byhand.handle("submission_0")
    page = served.ask(f"/q/gan/{handle}")[2].decode()
    assert re.findall(r'<img src="[^"]*/(\d+)" alt="([^"]*)"', page) == [("0", "gan_vae/gan_samples-3.png")]
    status, headers, data = served.ask(f"/picture/gan/{handle}/0")
    assert (status, headers["content-type"], data[:4]) == (200, "image/png", b"\x89PNG")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    assert served.ask(f"/picture/gan/{handle}/1")[0] == 404


def test_hostile_text_is_text_on_the_page(served: Served) -> None:
    for number in range(5):
        page = served.ask(f"/q/gan/{byhand.handle(f'submission_{number}')}")[2].decode()
        assert page.count("<script") == 1 and not re.search(r"<(?:svg|iframe|object|style)\b", page)
        assert not re.search(r"<[^>]*\son\w+=", page) and "1337" not in page
        assert set(re.findall(r"<img src=\"([^\"]*)\"", page)) <= {
            f"/{TOKEN}/picture/gan/{byhand.handle(f'submission_{number}')}/0"
        }


def test_two_tas_do_not_overwrite_each_other(out: Path) -> None:
    worth(out, 5)
    with serving(out, "Ada") as ada, serving(out, "Bo") as bo:
        assert ada.save(0, 3, "Ada's") == 200
        status, _, body = bo.ask(
            "/save",
            {"check": WRITTEN.id, "handle": byhand.handle("submission_0"), "points": 5, "comment": "", "version": 0},
        )
        conflict = json.loads(body)["conflict"]
        assert status == 409 and (conflict["author"], conflict["points"], conflict["version"]) == ("Ada", 3, 1)
        assert bo.save(0, 5, "Bo's", version=1) == 200 and ada.save(0, 1, version=1) == 409

        def hammer(who: Served, points: int) -> None:
            kept_on = 0
            while kept_on < 15:
                mark = saved(out).get("submission_2", {}).get(WRITTEN.id)
                kept_on += who.save(2, points, f"{kept_on}", version=mark.version if mark else 0) == 200

        both = [threading.Thread(target=hammer, args=pair) for pair in ((ada, 1), (bo, 2))]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert saved(out)["submission_2"][WRITTEN.id].version == 30, "every saving counted once, and none was lost"


def test_without_names_nobody_is_named(out: Path) -> None:
    with serving(out) as served:
        pages = [
            served.ask(f"/q/gan/{byhand.handle(f'submission_{number}')}?anonymous=1")[2].decode() for number in range(3)
        ]
        first = served.ask("/?anonymous=1")[2].decode()
    for page in (*pages, first):
        assert not re.search(r"Student \d|submission_\d|example\.edu|s00\d", page)
    assert all("?anonymous=1" in page for page in (*pages, first))


def test_what_was_saved_is_written_when_it_is_asked_for(out: Path) -> None:
    worth(out, 5)
    with serving(out) as served:
        assert served.save(0, 4, "Good.") == 200
        assert json.loads(served.ask("/write", {})[2]) == {"written": True}
        assert check_of(result(out, 0), WRITTEN.id)["score"] == 4
        from autograder.storage import alone

        served.save(0, 5, version=1)
        with alone(out):  # a class is being graded there
            assert json.loads(served.ask("/write", {})[2]) == {"written": False}
        assert check_of(result(out, 0), WRITTEN.id)["score"] == 4


# --------------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


def focused(browser: Browser) -> str:
    return str(browser.value("document.activeElement?.name ?? document.activeElement?.tagName"))


def at(browser: Browser, number: int) -> None:
    """Waits for the page of that submission."""
    place = f"location.pathname.endsWith('{byhand.handle(f'submission_{number}')}')"
    browser.until(f"document.readyState === 'complete' && {place}")


@pytest.mark.browser
def test_the_keyboard_alone_suffices(browser: Browser, out: Path) -> None:
    """Points by digits, a comment, the next one, a comment that is used again, half a point more, back, and none."""
    worth(out, 5)
    with serving(out) as served:
        browser.open(f"{served.base}/q/gan/")
        at(browser, 0)
        browser.press("3")
        browser.until("document.querySelector('form.give output').textContent.startsWith('Saved by Ada')")
        assert saved(out)["submission_0"][WRITTEN.id].points == 3
        browser.press("c")
        assert focused(browser) == "comment"
        for letter in "No j":
            browser.press(letter)
        browser.press("Escape")
        assert focused(browser) == "BODY"
        browser.press("u")  # the empty one is passed over
        at(browser, 2)
        assert saved(out)["submission_0"][WRITTEN.id].comment == "No j", "saved before the page was left"
        browser.press("r")
        assert browser.value("document.activeElement.dataset.comment") == "No j"
        browser.press("Enter", "\r")
        browser.press("Escape")
        browser.press("f")
        browser.press("k")
        at(browser, 1)
        mark = saved(out)["submission_2"][WRITTEN.id]
        assert (mark.points, mark.comment) == (5, "No j")
        browser.press("k")
        at(browser, 0)
        browser.press("h")
        browser.until("document.querySelector('form.give').elements.points.value === '3.5'")
        browser.until("document.querySelector('form.give output').textContent.startsWith('Saved by')")
        browser.press("9")
        browser.until("document.querySelector('form.give output').textContent.includes('worth 5 points')")
        browser.press("j")
        at(browser, 1)
        assert saved(out)["submission_0"][WRITTEN.id].points == 3.5
        browser.press("k")
        at(browser, 0)
        browser.press("x")
        browser.press("?")
        assert browser.value("document.querySelector('details.keys').open")
        browser.press("p")
        assert focused(browser) == "points"
        browser.until("document.querySelector('form.give output').textContent.startsWith('Saved')")
        assert saved(out)["submission_0"][WRITTEN.id].points is None
        assert browser.complaints() == []


@pytest.mark.browser
def test_a_conflict_is_shown_and_decided(browser: Browser, out: Path) -> None:
    worth(out, 5)
    with serving(out) as served:
        for decide, expected in (
            ("Take theirs", (1, "Bo\u2019s <b>word</b>")),
            ("Save mine instead", (4, "Bo\u2019s <b>word</b>")),
        ):
            browser.open(f"{served.base}/q/gan/{byhand.handle('submission_0')}")
            mark = saved(out).get("submission_0", {}).get(WRITTEN.id)
            version = mark.version if mark else 0
            give(out, 0, 2, "", version=version)
            give(out, 0, 1, "Bo\u2019s <b>word</b>", version=version + 1)
            browser.press("4")
            browser.until("!document.querySelector('.conflict').hidden")
            told = browser.value("document.querySelector('.conflict').innerText")
            assert "Ada has changed this in the meantime: 1 point, \u201cBo\u2019s <b>word</b>\u201d" in told
            assert saved(out)["submission_0"][WRITTEN.id].points == 1, "nothing was written over"
            if decide != "Take theirs":
                browser.press("Tab")
            assert browser.value("document.activeElement.textContent") == decide
            browser.press("Enter", "\r")
            browser.until("document.querySelector('.conflict').hidden")
            browser.until("!/Saving|Not saved/.test(document.querySelector('form.give output').textContent)")
            mark = saved(out)["submission_0"][WRITTEN.id]
            assert (mark.points, mark.comment) == expected


@pytest.mark.browser
def test_the_page_is_quiet_and_wraps(browser: Browser, served: Served) -> None:
    for path in ("/", *(f"/q/gan/{byhand.handle(f'submission_{number}')}" for number in range(5))):
        for width in (1280, 400):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.ask("Emulation.setDeviceMetricsOverride", **size)
            browser.open(f"{served.base}{path}")
            assert browser.complaints() == [] and browser.value("document.title") != "taken"
            assert {url.removeprefix(served.base).partition("/")[0] for url in browser.requests()} == {""}
            assert browser.value("document.documentElement.scrollWidth") <= width
    browser.ask("Emulation.clearDeviceMetricsOverride")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, served: Served, out: Path, scheme: str) -> None:
    browser.ask(
        "Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    try:
        for place in (
            f"{served.base}/", f"{served.base}/q/gan/{byhand.handle('submission_0')}",
            (out / "report.html").as_uri(), (out / "students" / "submission_0.html").as_uri(),
        ):  # fmt: skip
            browser.open(place)
            browser.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            assert browser.axe() == []
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="", features=[])


def test_nothing_that_was_saved_is_lost_by_a_kill(out: Path, tmp_path: Path) -> None:
    """SIGKILL right behind an answer, several times: what was answered is in the book, and the next start writes it."""
    worth(out, 5)
    kept_so_far: dict[int, float] = {}
    for kill in range(4):
        program = [sys.executable, "-B", "-m", "autograder", "review", str(out), "--name", "Ada"]
        process = subprocess.Popen(program, cwd=helpers.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(line.strip() for line in lines if "http://" in line)
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]{32,})/", address)
        assert found is not None
        talk = Served(out, int(found[1]))
        for number in range(3):
            told = {"check": WRITTEN.id, "handle": byhand.handle(f"submission_{number}"), "comment": f"{kill}"}
            version = kill
            points = float((kill + number) % 6)
            status, _, _ = talk.ask("/save", {**told, "points": points, "version": version}, token=found[2])
            assert status == 200
            kept_so_far[number] = points
        if kill < 3:
            process.kill()
            process.communicate()
        marks = saved(out)
        assert {number: marks[f"submission_{number}"][WRITTEN.id].points for number in range(3)} == kept_so_far
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "up to date" in said and "Traceback" not in errors
    for number, points in kept_so_far.items():
        assert check_of(result(out, number), WRITTEN.id)["score"] == points
