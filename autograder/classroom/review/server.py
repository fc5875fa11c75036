"""Serves the page to whoever has its address, on this machine alone.

The address holds a token, and nothing is answered without it: no cookie and no password that another site's page could
use in the reader's name. Requests whose Host is not ours are turned away (a name that was made to lead here, DNS
rebinding), and so are those that another origin sends. What a student wrote is text wherever it stands; the policy lets
no script run but ours, and no picture is shown that does not begin as one.
"""

from __future__ import annotations

import hmac
import json
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autograder.classroom import byhand, report
from autograder.classroom.byhand import Conflict, Mark, SaveRefused
from autograder.classroom.publish import Class, written
from autograder.classroom.review.store import Desk, Unknown, Work
from autograder.core import CheckFailed
from autograder.output import pages

LOOPBACK = "127.0.0.1"
MOST_BODY = 64 * 1024
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f5fa8"/>'
    '<path d="M4 8.5l3 3 5-7" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def serve(opened: Class, *, author: str, anonymous: bool, port: int) -> int:
    """Serves until Ctrl-C, then writes what was saved into tables, results and pages. Returns 0."""
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise CheckFailed(f"Port {port} on {LOOPBACK} cannot be used: {error.strerror}. Give another --port.") from None
    token, own = secrets.token_urlsafe(24), listening.getsockname()[1]
    desk = Desk(opened, author)
    print(f"Open this address in a browser on this machine, and do not share it:\n\n  http://{LOOPBACK}:{own}/{token}"
        f"/\n\nYou grade as {author}. Every change is saved at once in {opened.book.path}.\nCtrl-C stops the server "
        "and writes the points into grades.csv, the results and the pages.", flush=True)  # fmt: skip
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        quiet(application(desk, token, own, anonymous=anonymous)).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listening.close()
    print()
    written(opened)
    sys.stdout.flush()
    return 0


def quiet(app: ASGIApp) -> uvicorn.Server:
    """A server that speaks plain HTTP/1.1, logs no address and tells nothing of itself."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
    )


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# ------------------------------------------------------------------------------------------ who may ask


@dataclass(frozen=True)
class Guard:
    """Lets through only requests with the token, to our own name and port, from our own pages."""

    inner: ASGIApp
    token: str
    port: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in held]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if refusal := self._refusal(scope):
            await refusal(scope, receive, guarded)
            return
        path = scope["path"][len(self.token) + 1 :] or "/"
        await self.inner({**scope, "path": path, "raw_path": path.encode()}, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        names = {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in names:
            return PlainTextResponse("This address does not exist.", 421)
        first, _, _ = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(first.encode("utf-8", "replace"), self.token.encode()):
            return PlainTextResponse("Not found.", 404)
        if scope["path"] == f"/{self.token}":
            return RedirectResponse(f"/{self.token}/", 307)
        origins = headers.getlist("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        changes = scope["method"] not in ("GET", "HEAD")
        if any(origin != f"http://{hosts[0]}" for origin in origins) or (changes and len(origins) != 1):
            return PlainTextResponse("Only this page may send requests.", 403)
        if site not in (("same-origin",) if changes else ("same-origin", "none")):
            return PlainTextResponse("Only this page may send requests.", 403)
        if changes and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("Expected: JSON.", 415)
        return None


# --------------------------------------------------------------------------------------------- answers

Endpoint = Callable[[Request], Awaitable[Response]]


def application(desk: Desk, token: str, port: int, *, anonymous: bool = False) -> ASGIApp:
    """The page of a class as an ASGI application that answers only below `/TOKEN/`."""
    made = report.environment()
    style = (pages.HERE / "style.css").read_text() + (report.TEMPLATES / "review.css").read_text()
    script = (report.TEMPLATES / "review.js").read_text()

    def static(text: str, kind: str) -> Endpoint:
        async def answer(_request: Request) -> Response:
            return Response(text, media_type=kind)

        return answer

    def hidden(request: Request) -> bool:
        return request.query_params.get("anonymous", "1" if anonymous else "0") == "1"

    async def overview(request: Request) -> Response:
        progress, worth = await run_in_threadpool(desk.overview)
        shown = {"progress": progress, "worth": worth, **_everywhere(desk, token, hidden(request))}
        return HTMLResponse(_rendered(made, "overview.html.j2", shown))

    async def begin(request: Request) -> Response:
        try:
            work = await run_in_threadpool(desk.work, request.path_params["question"], "", anonymous=hidden(request))
        except Unknown:
            return PlainTextResponse("This question does not exist, or no work was graded in it.", 404)
        where = f"/{token}/q/{work.question.id}/{byhand.handle(work.entry.id)}"
        return RedirectResponse(f"{where}?anonymous={int(hidden(request))}", 303)

    async def work(request: Request) -> Response:
        asked = request.path_params
        try:
            found = await run_in_threadpool(desk.work, asked["question"], asked["handle"], anonymous=hidden(request))
        except Unknown:
            return PlainTextResponse("There is no such question or submission.", 404)
        return HTMLResponse(await run_in_threadpool(_page, made, desk, found, token, hidden(request)))

    async def picture(request: Request) -> Response:
        asked = request.path_params
        try:
            found = await run_in_threadpool(desk.picture, asked["question"], asked["handle"], asked["number"])
        except Unknown:
            return PlainTextResponse("There is no such picture.", 404)
        policy = {"content-security-policy": "default-src 'none'; sandbox"}
        return Response(found.data, media_type=found.kind, headers=policy)

    async def save(request: Request) -> Response:
        try:
            told = await _told(request, check=str, handle=str, comment=str, version=int)
            points = _number(told.get("points"))
            mark = await run_in_threadpool(
                desk.save, told["check"], told["handle"], points=points, comment=told["comment"],
                version=told["version"],
            )  # fmt: skip
        except Conflict as conflict:
            row = conflict.row or Mark(None, "", "nobody", "", "", 0)
            return JSONResponse({"conflict": _seen(row)}, 409)
        except Unknown:
            return JSONResponse({"fault": "This submission or check is no longer in the gradebook."}, 404)
        except SaveRefused as fault:
            return JSONResponse({"fault": str(fault)}, 422)
        return JSONResponse({"saved": _seen(mark)})

    async def worth(request: Request) -> Response:
        try:
            told = await _told(request, check=str)
            points = _number(told.get("points"))
            if points is None:
                raise SaveRefused("First enter how many points the answer is worth.")
            await run_in_threadpool(desk.set_worth, told["check"], points)
        except Unknown:
            return JSONResponse({"fault": "There is no such check."}, 404)
        except SaveRefused as fault:
            return JSONResponse({"fault": str(fault)}, 422)
        return JSONResponse({"saved": points})

    async def write(_request: Request) -> Response:
        done = await run_in_threadpool(desk.write)
        return JSONResponse({"written": done})

    inner = Starlette(
        routes=[
            Route("/", overview),
            Route("/review.css", static(style, "text/css")),
            Route("/review.js", static(script, "text/javascript")),
            Route("/icon.svg", static(ICON, "image/svg+xml")),
            Route("/q/{question}/", begin),
            Route("/q/{question}/{handle}", work),
            Route("/picture/{question}/{handle}/{number:int}", picture),
            Route("/save", save, methods=["POST"]),
            Route("/worth", worth, methods=["POST"]),
            Route("/write", write, methods=["POST"]),
        ]
    )
    return Guard(inner, token, port)


def _everywhere(desk: Desk, token: str, hidden: bool) -> dict[str, Any]:
    """What every page shows."""
    return {
        "assignment": desk.opened.assignment,
        "base": f"/{token}",
        "anonymous": hidden,
        "query": f"?anonymous={int(hidden)}",
        "author": desk.author,
        "handle": byhand.handle,
    }


def _page(made: jinja2.Environment, desk: Desk, work: Work, token: str, hidden: bool) -> str:
    entry, question = work.entry, work.question
    checks = question.numbered
    files = [] if work.held is None else report.files(desk.opened.assignment, work.held, question.files)

    def plain(text: str) -> str:
        return report.nameless(text, entry) if hidden else text

    if hidden:
        files = [report.nameless_file(file, entry) for file in files]
    judged = [(number, check) for number, check in checks if not check.manual and check.id in entry.verdicts]
    full = [(number, check) for number, check in judged if entry.full(check)]
    shown = {
        "work": work,
        "entry": entry,
        "question": question,
        "written": [(number, check) for number, check in checks if check.manual and check.id in entry.verdicts],
        "lost": [one for one in judged if one not in full],
        "passed": full,
        "files": files,
        "pictures": [picture.name for picture in desk.pictures(work.held, question)],
        "printed": work.held.printed if work.held else {},
        "plain": plain,
        "own": byhand.handle(entry.id),
    }
    return _rendered(made, "review.html.j2", {**shown, **_everywhere(desk, token, hidden)})


def _rendered(made: jinja2.Environment, name: str, shown: dict[str, Any]) -> str:
    return made.get_template(name).render(shown)


def _seen(mark: Mark) -> dict[str, Any]:
    told = asdict(mark)
    return {name: told[name] for name in ("points", "comment", "author", "changed", "version")}


async def _told(request: Request, **kinds: type) -> dict[str, Any]:
    """The request's JSON object, in which these names have these types. Raises `Refused`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise SaveRefused(f"That is more than {MOST_BODY // 1024} KB.")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise SaveRefused("That is not JSON.") from None
    if not isinstance(told, dict) or any(type(told.get(name)) is not kind for name, kind in kinds.items()):
        raise SaveRefused("This page does not send such data.")
    return told


def _number(value: object) -> float | None:
    """Points as JSON has them: a number, or nothing. Raises `Refused`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9 or value != value:
        raise SaveRefused("Points must be a number, or empty.")
    return float(value)
