"""How reports are made: HTML files that need nothing else, by templates that escape and clean whatever they show."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from autograder.message import Message
from autograder.output.markdown import pieces
from autograder.text import clean, shown

HERE = Path(__file__).parent
NAME = 120
"""Letters of a name that are shown."""


def environment(templates: Path) -> jinja2.Environment:
    """The templates of a folder, beside those that all reports share; "page.html.j2" is what they extend."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((HERE / name).read_text() for name in ("style.css", "sort.js"))
    pages.globals |= {"style": Markup(style), "script": Markup(script), "digest": digest}
    pages.filters |= {
        "short": lambda text: clean(text, limit=NAME),
        "points": shown,
        "message": lambda message: html(message.mapped(clean)),
        "percent": lambda value: "" if value is None else f"{100 * value:.0f}\N{NO-BREAK SPACE}%",
    }
    return pages


def html(message: Message) -> Markup:
    """A message for a page: a paragraph for each part, and the student's own lines."""
    blocks = [Markup('<p class="said">{}</p>').format(_html(message.seen))]
    if message.calls:
        lines = Markup("\n").join(call.line for call in message.calls)
        blocks.append(Markup('<pre class="calls">{}</pre>').format(lines))
    for label, part in message.labelled:
        before = Markup("<strong>{}</strong> ").format(label.strip()) if label else Markup()
        blocks.append(Markup('<p class="said">{}{}</p>').format(before, _html(part)))
    return Markup().join(blocks)


def _html(line: str) -> Markup:
    return Markup().join(
        Markup("<code>{}</code>").format(piece.text) if piece.code else Markup.escape(piece.text)
        for piece in pieces(line)
    )


def _shown(value: object) -> object:
    """What a template puts out: text without control and format characters, which also turn its direction."""
    if value is None:
        return "–"
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def digest(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
