"""Messages in their parts: the convention that judges keep, hints one after the other, the way into files and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.core import Check, Question, Request, Result, Verdict
from autograder.judging.judges import Exact
from autograder.message import Call, Message

PARTS = {
    "expected behind": (
        ("The penalty is not right. Lambda is in it twice. Expected: lambda times the sum.", "twice"),
        Message("The penalty is not right.", "Lambda is in it twice.", "lambda times the sum."),
    ),
    "expected in the first sentence": (
        ("The KL term was 8.02; expected 8.33. log v has half its weight: it is log s.", "kl_log_of_std"),
        Message("The KL term was 8.02.", "log v has half its weight: it is log s.", "8.33."),
    ),
    "the mistake behind what was expected": (
        ("The gradient is not right. Expected: through both terms. Only one arrived.", "kl_detached"),
        Message("The gradient is not right.", "Only one arrived.", "through both terms."),
    ),
    "no known mistake": (
        ("The state differs from step 2 on. Expected: the same. Look at the cache.", ""),
        Message("The state differs from step 2 on.", "", "the same. Look at the cache."),
    ),
    "two sentences, no known mistake": (
        ("It is not right. For 3 outcomes it is 2. Expected: 1.", ""),
        Message("It is not right. For 3 outcomes it is 2.", "", "1."),
    ),
    "one sentence with its reason": (
        ("All entries got the same centre: m was averaged. Expected: z = m + e.", "mean_averaged"),
        Message("All entries got the same centre.", "m was averaged.", "z = m + e."),
    ),
    "one sentence": (
        ("permute_mnist moves pixels. Expected: the same order.", "permute_values"),
        Message("permute_mnist moves pixels.", "", "the same order."),
    ),
    "a shape": (
        ("z has shape [2]; expected [2, 3]: batch, latent.", "shape"),
        Message("z has shape [2].", "", "[2, 3]: batch, latent."),
    ),
    "not usable": (
        ("The result could not be used: f returned None, but two scalars were expected: a, b.", "unusable"),
        Message("The result could not be used: f returned None.", "", "two scalars: a, b."),
    ),
    "a formula": (
        ("The state is not the expected one: ln(x + f(x)). emb_ln is missing.", "sum_norm_lost"),
        Message("The state is not the expected one.", "emb_ln is missing.", "ln(x + f(x))."),
    ),
    "several faults": (
        ("A is 1. Expected: 2. B is 3. Expected: 4.", "both"),
        Message("A is 1.", "B is 3.", "2; 4."),
    ),
    "a number and what it should be made of": (
        ("The loss was 1.1; expected 1.02. The labels are 0.9. Expected: labels of 1.", "smoothed"),
        Message("The loss was 1.1.", "The labels are 0.9.", "1.02; labels of 1."),
    ),
    "what is expected said twice": (
        ("The loss was -1; expected 1, the average of -log D. It is log D. Expected: -log D.", "sign"),
        Message("The loss was -1.", "It is log D.", "1, the average of -log D."),
    ),
    "an example": (
        (
            "D is not right. It is D(q || p). Expected: the sum. Smallest example: p = [1] gave 2; expected 1.",
            "swapped",
        ),
        Message("D is not right.", "It is D(q || p).", "the sum.", "p = [1] gave 2; expected 1."),
    ),
    "an exception's own words": (
        ("The code raised an exception: ValueError: no. Expected: all points. Smallest example: me", "raised"),
        Message("The code raised an exception: ValueError: no. Expected: all points. Smallest example: me"),
    ),
    "nothing expected": (("As expected.", ""), Message("As expected.")),
    "nothing": (("", ""), Message("")),
}


@pytest.mark.parametrize("name", PARTS)
def test_sentences_are_taken_apart(name: str) -> None:
    (text, diagnosis), expected = PARTS[name]
    assert Message.of(text, diagnosis) == expected


FULL = Message.of("D is not right. It is D(q || p). Expected: the sum. Smallest example: p = [1] gave 2.", "swapped")


def test_hints_come_one_after_the_other() -> None:
    looks = [FULL.until(look, example=2, named=3) for look in (1, 2, 3, 4)]
    assert [(one.found, one.expected) for one in looks] == [("D is not right.", "the sum.")] * 4
    assert [one.example for one in looks] == ["", *["p = [1] gave 2."] * 3]
    assert [one.named for one in looks] == ["", "", *["It is D(q || p)."] * 2]
    assert FULL.until(1, example=1, named=1) == FULL


def test_the_time_is_told_where_it_was_close() -> None:
    request = Request("x:y", lambda _rng: {}, seconds=10)
    check = Check("a", "a", 1, request, Exact(lambda _trial: Verdict(1, "")))
    question = Question("q", 1, "Q", (), (check,))
    for took, diagnosis, told in ((4.9, "", ""), (5.1, "", "It took 5.1 of the 10 seconds"), (10, "deadline", "")):
        result = Result(question, check, Verdict(0, "No.", diagnosis), took=took, limit=10)
        assert result.told.pace.startswith(told) and bool(result.told.pace) == bool(told)
    assert result.told.found == "No."


words = st.text(max_size=20)


@given(
    st.builds(
        Message,
        words,
        words,
        words,
        words,
        st.lists(st.builds(Call, words, words, words), max_size=3).map(tuple),
        words,
    )
)
def test_parts_come_back_from_a_file(message: Message) -> None:
    assert Message.read(message.plain()) == message


@pytest.mark.parametrize(
    "data", [None, 3, [], "x", {"found": 3, "calls": 3}, {"calls": [3, {"place": 3}], "evil": "x"}]
)
def test_odd_parts_of_a_file_break_nothing(data: object) -> None:
    assert Message.read(data, "text").found == "text"
