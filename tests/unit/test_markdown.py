"""Messages as Markdown: a renderer finds in them what we put there, whatever stands in the parts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from autograder.message import Call, Message
from autograder.output.markdown import inline, markdown, paragraphs, pieces
from autograder.text import clean

RENDERERS = {
    "CommonMark": MarkdownIt("commonmark"),
    "with extensions": MarkdownIt("js-default"),  # tables and strikethrough; no linkify-it, see `words`
}
OURS = {"paragraph_open", "paragraph_close", "inline", "code_block"}
WITHIN = {"text", "code_inline", "strong_open", "strong_close"}
HOSTILE = (
    "[x](http://e.org)", "![x](http://e.org/a.png)", "<b>", "<script>alert(1)</script>", "<http://e.org>", "&lt;b&gt;",
    "http://e.org", "www.e.org", "a@e.org", "e.org", "# heading", "heading\n===", "heading\n---", "- item", "+ item",
    "* item", "1. item", "2) item", "> quote", "***", "---", "___", "```", "~~~", "`", "``", "\\", "\\`", "    code",
    "\tcode", "a|b\n-|-\n1|2", "[x]: http://e.org", "[x]", "[^1]", "_a_", "*a*", "**a**", "~~a~~", "==a==", "$a$",
    "\\(a\\)", "\u2028", "\n\n", "\r", "\x00", ":", "-", "=", "!", "&#42;", "&amp;", "a `b` c", "`a``b`", "x_1", "{x}",
)  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.just(" ")), max_size=8).map("".join)
calls = st.builds(Call, place=texts.map(lambda text: f"a.py {text}"), source=texts, error=texts)
messages = st.builds(
    Message, found=texts, named=texts, expected=texts, example=texts, pace=texts,
    calls=st.lists(calls, max_size=3).map(tuple),
)  # fmt: skip


def rendered(text: str, renderer: str) -> list[Token]:
    return RENDERERS[renderer].parse(text)


def said(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


@pytest.mark.parametrize("renderer", RENDERERS)
@settings(max_examples=600, deadline=None)
@given(message=messages)
@example(message=Message("`a``b`", expected="`", example="``", calls=(Call("a.py, line 1", "x = '```'"),)))
@example(message=Message("1. a", "- b", "# c", "===", (), "> d"))
@example(message=Message("\\", "`a`", "`\\`", "\\`a`"))
def test_nothing_in_a_message_becomes_more_than_text_or_code(renderer: str, message: Message) -> None:
    """Every part is one paragraph, the calls are one block, and each has the very words that were put in."""
    tokens = rendered(markdown(message), renderer)
    message = message.mapped(clean)
    assert {token.type for token in tokens} <= OURS
    inner = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inner} <= WITHIN
    parts = [("", message.seen), *message.labelled]
    wanted = [
        f"{label.strip()} {plain(part)}".strip() if label else plain(part)
        for label, part in parts
        if label or plain(part)
    ]
    assert [said(token).strip() for token in tokens if token.type == "inline"] == wanted
    blocks = [token.content for token in tokens if token.type == "code_block"]
    listed = "\n".join(" ".join(call.line.split()) for call in message.calls)
    assert blocks == ([f"{listed}\n"] if message.calls else [])
    strong = sum(child.type == "strong_open" for child in inner)
    assert strong == sum(bool(label) for label, _ in message.labelled)


def plain(part: str) -> str:
    """What a reader should see."""
    return "".join(piece.text for piece in pieces(part)).strip()


@settings(max_examples=600, deadline=None)
@given(text=texts)
def test_no_bare_text_is_an_address_or_a_formula_for_any_renderer(text: str) -> None:
    """Some make links of bare addresses, and formulas of what stands between dollar signs: these are code here."""
    for piece in pieces(text):
        if not piece.code:
            assert re.search(r"://|www\.\w|@|\$|==|[a-z]\.[a-z]", re.sub(r"e\.g|i\.e", "", piece.text)) is None
            assert "`" not in piece.text


@given(text=texts)
def test_pieces_have_all_that_stands_in_the_line(text: str) -> None:
    shown = "".join(piece.text for piece in pieces(text))
    letters = [character for character in text if character.isalnum()]
    assert [character for character in shown if character.isalnum()] == letters


@given(text=texts)
def test_lines_are_paragraphs(text: str) -> None:
    tokens = rendered(paragraphs(text), "CommonMark")
    assert {token.type for token in tokens} <= OURS - {"code_block"}
    assert all({child.type for child in token.children or ()} <= {"text", "code_inline"} for token in tokens)


SHOWN = {
    "The loss in train_ewc is summed.": "The loss in `train_ewc` is summed.",
    "`optimizer.step()` is missing": "`optimizer.step()` is missing",
    "optpar_dict[0]['body.0.weight'] is 1.5.": "`optpar_dict[0]['body.0.weight']` is 1.5.",
    "D(p || q) is 2 * x": "D(p \\|\\| q) is 2 \\* x",
    "gan_vae/utils.py, line 3 (in f): KeyError: 'a'": "`gan_vae/utils.py`, line 3 (in f): KeyError: 'a'",
    "on_task_update(0, ...) did": "`on_task_update(0, ...)` did",
    "emb_ln(emb_word(id) + emb_pos(position))": "`emb_ln(emb_word(id) + emb_pos(position))`",
    "Expected, e.g. one.": "Expected, e.g. one.",
    "m = [[0], [2.5]] and v = [1] gave [inf]; [a] is": "m = `[[0], [2.5]]` and v = `[1]` gave `[inf]`; \\[a\\] is",
    "1. It is": "1\\. It is",
    "- It is": "\\- It is",
    "see www.example.org.": "see `www.example.org`.",
}


@pytest.mark.parametrize("text", SHOWN)
def test_names_and_files_are_code(text: str) -> None:
    assert inline(text) == SHOWN[text]
