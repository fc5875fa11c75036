"""The late policy and the day's limit: never the clock, monotone in time, never negative, the same at a regrade."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.core import CheckFailed
from autograder.intake import late
from autograder.intake.late import HandedIn, Policy, lateness

DUE = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
USUAL = Policy(grace=15 * MINUTE, percent=10, last=5 * DAY)


def kept(policy: Policy, by: timedelta, **more: Any) -> float:
    return lateness(policy, HandedIn(DUE + by, DUE, **more)).kept


@pytest.mark.parametrize(
    ("by", "share"),
    [
        (-30 * DAY, 1.0),
        (timedelta(), 1.0),
        (15 * MINUTE, 1.0),
        (15 * MINUTE + timedelta(seconds=1), 0.9),
        (DAY + 15 * MINUTE, 0.9),  # the grace moves every limit
        (DAY + 16 * MINUTE, 0.8),
        (5 * DAY + 15 * MINUTE, 0.5),
        (5 * DAY + 16 * MINUTE, 0.0),
        (500 * DAY, 0.0),
    ],
)
def test_ten_percent_a_day_for_five_days(by: timedelta, share: float) -> None:
    assert kept(USUAL, by) == pytest.approx(share)


def test_other_steps_and_bounds() -> None:
    hourly = Policy(percent=2, step=HOUR, at_most=50)
    assert [kept(hourly, hours * HOUR) for hours in (1, 1.5, 2, 25, 26, 1000)] == pytest.approx(
        [0.98, 0.96, 0.96, 0.5, 0.5, 0.5]
    )
    assert kept(Policy(percent=30), 4 * DAY) == 0
    gradescopes = Policy(percent=10)
    assert [kept(gradescopes, by, late_due=DUE + 2 * DAY) for by in (2 * DAY, 2 * DAY + MINUTE)] == [0.8, 0.0]
    own = Policy(percent=10, due=DUE - DAY, late_due=DUE)
    assert [kept(own, by, late_due=DUE + 9 * DAY) for by in (-DAY, timedelta(), MINUTE)] == [1.0, 0.9, 0.0]


def test_an_extension_moves_the_due_date_and_the_last_day() -> None:
    policy = Policy(
        percent=10, last=2 * DAY, extensions={"ada@x.edu": 3 * DAY, "bo@x.edu": DUE + DAY, "cy@x.edu": DUE - DAY}
    )
    for emails, days in (
        (("Ada@X.edu ",), 3),
        (("bo@x.edu",), 1),
        (("bo@x.edu", "ada@x.edu"), 3),
        (("cy@x.edu",), 0),
        ((), 0),
    ):
        own = DAY * days
        assert kept(policy, own, emails=emails) == 1
        assert kept(policy, own + MINUTE, emails=emails) == 0.9
        assert kept(policy, own + 2 * DAY, emails=emails) == 0.8
        assert kept(policy, own + 2 * DAY + MINUTE, emails=emails) == 0
    assert "with your extension" in lateness(policy, HandedIn(DUE + DAY, DUE, emails=("ada@x.edu",))).told


def test_the_sentence_says_when_how_late_and_what_it_cost() -> None:
    pacific = datetime.fromisoformat("2026-11-23T23:59:00-08:00")
    told = lateness(USUAL, HandedIn(pacific + DAY + 2 * HOUR, pacific)).told
    when = "Handed in 2026-11-25 01:59 UTC-08:00, 1 day 2 hours late (due 2026-11-23 23:59 UTC-08:00)"
    assert told == f"{when}. The deduction is 20 %."
    assert "within the grace period of 15 minutes" in lateness(USUAL, HandedIn(DUE + MINUTE, DUE)).told
    assert "there are no points left" in lateness(USUAL, HandedIn(DUE + 9 * DAY, DUE)).told
    assert "on time" in lateness(USUAL, HandedIn(DUE, DUE)).told


@pytest.mark.parametrize("handed_in", [HandedIn(None, DUE), HandedIn(DUE, None), HandedIn()])
def test_nothing_is_taken_off_where_a_time_is_not_known(handed_in: HandedIn) -> None:
    found = lateness(USUAL, handed_in)
    assert found.kept == 1 and "is not known" in found.told


lengths = st.timedeltas(timedelta(), 400 * DAY)
times = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
policies = st.builds(
    Policy,
    grace=st.timedeltas(timedelta(), 7 * DAY),
    percent=st.floats(0, 100),
    step=st.timedeltas(MINUTE, 366 * DAY),
    at_most=st.floats(0, 100),
    last=st.none() | lengths,
    due=st.none() | times,
    late_due=st.none() | times,
    extensions=st.dictionaries(st.sampled_from(["a@x", "b@x"]), lengths | times),
)
emails = st.lists(st.sampled_from(["a@x", "B@X", "c@x"]), max_size=3).map(tuple)


@given(policies, times, times, times, st.none() | times, emails)
def test_to_hand_in_later_never_pays(
    policy: Policy, one: datetime, other: datetime, due: datetime, late_due: datetime | None, who: tuple[str, ...]
) -> None:
    early, late_one = sorted((one, other))
    first, second = (lateness(policy, HandedIn(at, due, late_due, who)) for at in (early, late_one))
    assert 0 <= second.kept <= first.kept <= 1
    assert first == lateness(policy, HandedIn(early, due, late_due, who)), "a regrade gives the same"
    assert first.told.isprintable() and "xpected" not in first.told


@given(policies, times, times, emails)
def test_an_extension_and_a_longer_grace_never_cost(
    policy: Policy, at: datetime, due: datetime, who: tuple[str, ...]
) -> None:
    from dataclasses import replace

    own = lateness(policy, HandedIn(at, due, emails=who)).kept
    assert lateness(replace(policy, extensions={}), HandedIn(at, due, emails=who)).kept <= own
    assert own <= lateness(replace(policy, grace=policy.grace + DAY), HandedIn(at, due, emails=who)).kept
    assert lateness(policy, HandedIn(min(at, policy.due or due), due, emails=who)).kept == 1


# ------------------------------------------------------------------------------------- what Gradescope tells


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2018-07-01T14:22:32.365935-07:00", "2018-07-01T21:22:32.365935+00:00"),
        ("2026-11-20 23:59:08.123456789 Z", "2026-11-20T23:59:08.123456+00:00"),
        ("2026-11-20 23:59:08 UTC", "2026-11-20T23:59:08+00:00"),
        ("2026-11-20 23:59:08 -0800", "2026-11-21T07:59:08+00:00"),
        ("2026-11-20T23:59", "2026-11-20T23:59:00+00:00"),
        (" 2026-11-20T23:59:00Z ", "2026-11-20T23:59:00+00:00"),
        ("yesterday", None),
        ("2026-13-40T25:61:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("", None),
        (None, None),
        (1_700_000_000, None),
        (["2026-11-20"], None),
    ],
)
def test_times_as_gradescope_writes_them(text: object, time: str | None) -> None:
    assert late.time_of(text) == (time and datetime.fromisoformat(time))


METADATA = {
    "id": 1,
    "created_at": "2026-11-24T02:00:00Z",
    "assignment": {"due_date": "2026-11-23T23:59:00Z", "late_due_date": None, "total_points": "100.0"},
    "users": [{"id": 2, "name": "Ada", "email": "ada@x.edu"}, {"id": 3, "email": None}],
    "previous_submissions": [{"submission_time": "2026-11-20T02:00:00Z", "score": 3}],
}


def test_the_metadata_is_read(tmp_path: Path) -> None:
    path = tmp_path / "submission_metadata.json"
    path.write_text(json.dumps(METADATA))
    found = late.handed_in(path)
    assert (found.at, found.due, found.late_due) == (datetime(2026, 11, 24, 2, tzinfo=UTC), DUE, None)
    assert (found.emails, len(found.previous)) == (("ada@x.edu",), 1)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "null", "3", '{"users": 3, "assignment": [], "previous_submissions": {}}', "[" * 100_000,
     '{"created_at": {}, "users": [3, {"email": 4}], "previous_submissions": [7]}'],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_metadata_that_is_not_as_it_should_be_says_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "submission_metadata.json"
    path.write_text(content)
    assert late.handed_in(path) == HandedIn()
    assert late.handed_in(tmp_path / "nowhere.json") == HandedIn()


# ------------------------------------------------------------------------------------- extensions


def test_a_list_of_extensions() -> None:
    text = "\ufeffName,Email,due,days\nAda,Ada@X.edu,2026-11-25T23:59:00-08:00,\n\nBo, bo@x.edu ,,2.5\n"
    assert late.extensions(text.encode(), "e.csv") == {
        "ada@x.edu": datetime.fromisoformat("2026-11-25T23:59:00-08:00"),
        "bo@x.edu": 2.5 * DAY,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "e.csv, line 1: the columns are missing. Expected: email and due, or email and days."),
        ("name,days\na,3", "e.csv, line 1: the columns are name, days."),
        ("email\na@x", "Expected: email and due, or email and days."),
        ("email,days\nada,3", 'line 2: "ada" is not an e-mail address.'),
        ("email,days\n\na@x,3\nA@x,4", "line 4: a@x appears twice."),
        ("email,days\na@x,", "line 2: neither due nor days is given."),
        ("email,days,due\na@x,3,2026-11-25T23:59:00Z", "line 2: both due and days are given."),
        ("email,days\na@x,-1", 'line 2: days is "-1". Expected: a number from 0 to 366.'),
        ("email,days\na@x,nan", 'days is "nan"'),
        ("email,days\na@x,1e9", 'days is "1e9"'),
        ("email,due\na@x,2026-11-25", "Expected: a time with its offset"),
        ("email,due\na@x,2026-11-25T23:59:00", "Expected: a time with its offset"),
        ("email,due\na@x,soon", 'due is "soon"'),
    ],
)
def test_a_list_that_is_wrong_is_told_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(CheckFailed) as told:
        late.extensions(text.encode(), "e.csv")
    assert sentence in str(told.value) and "\n" not in str(told.value)


# ------------------------------------------------------------------------------------- submissions a day


def previous(*hours: float, **more: Any) -> tuple[dict[str, Any], ...]:
    """Earlier submissions, so many hours before."""
    return tuple(
        {
            "submission_time": (DUE - one * HOUR).isoformat(),
            "score": one,
            "results": {"tests": [{"name": f"{one}"}]},
            **more,
        }
        for one in hours
    )


def test_what_is_beyond_the_days_limit_shows_the_last_graded_result() -> None:
    assert late.beyond(3, HandedIn(DUE, previous=previous(30, 25, 24, 2, 1))) is None
    found = late.beyond(3, HandedIn(DUE, previous=previous(30, 23, 2, 1)))
    assert found is not None
    assert (found.score, found.tests) == (1, ({"name": "1"},))
    assert "At most 3 submissions in 24 hours are graded, so this one was not graded." in found.told
    assert "after 2026-11-24 00:59 UTC is graded again" in found.told
    assert "the result of 2026-11-23 22:59 UTC counts" in found.told
    board = [{"name": "loss", "value": 3}, 7]
    shown = late.beyond(1, HandedIn(DUE, previous=previous(5, results={"leaderboard": board})))
    assert shown is not None and shown.board == ({"name": "loss", "value": 3},)
    one = late.beyond(1, HandedIn(DUE, previous=previous(5)))
    assert one is not None and "At most 1 submission in 24 hours is graded" in one.told


def test_what_was_not_graded_does_not_count() -> None:
    stopped = previous(4, 3, results={"extra_data": {late.STANDS: True}, "tests": []})
    broken = previous(5, autograder_error=True)
    later = previous(-3, -2)
    odd: tuple[dict[str, object], ...] = ({}, {"submission_time": 3}, {"submission_time": "x", "results": []})
    assert late.beyond(2, HandedIn(DUE, previous=(*stopped, *broken, *later, *odd, *previous(1)))) is None
    found = late.beyond(2, HandedIn(DUE, previous=(*previous(6, 5), *stopped)))
    assert found is not None and found.score == 5, "who tries again and again is not locked out for longer"
    assert late.beyond(1, HandedIn(None, previous=previous(1))) is None


@given(st.integers(1, 5), st.lists(st.floats(0.01, 60), max_size=12))
def test_a_regrade_of_each_submission_gives_the_same(limit: int, hours: list[float]) -> None:
    """At most `limit` are graded within any 24 hours, and the answer is one of what came before alone."""
    record: list[dict[str, Any]] = []
    graded: list[datetime] = []
    for one in sorted(hours, reverse=True):
        at = DUE - one * HOUR
        told = late.beyond(limit, HandedIn(at, previous=tuple(record)))
        assert told == late.beyond(limit, HandedIn(at, previous=(*record, *previous(-1))))
        if told is None:
            graded.append(at)
        record.append(
            {"submission_time": at.isoformat(), "score": 1, "results": {"extra_data": {late.STANDS: told is not None}}}
        )
    for at in graded:
        assert (
            sum(timedelta() <= at - other < DAY for other in graded) <= limit + sum(other == at for other in graded) - 1
        )
    assert not hours or graded


@pytest.mark.parametrize("score", [None, "x", "nan", float("inf"), [], {}, True])
def test_an_odd_score_of_an_earlier_result_is_none(score: object) -> None:
    found = late.beyond(1, HandedIn(DUE, previous=({"submission_time": DUE.isoformat(), "score": score},)))
    assert found is not None and found.score in (0.0, 1.0) and found.tests == ()
