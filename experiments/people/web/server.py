"""The rating page as an ASGI application: a page, pictures, what is next, and what somebody says of it."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.config.errors import in_one_line
from experiments.people.choices import StudyChoices
from experiments.people.questions import Questions, checked_name
from experiments.people.queue import next_turn
from experiments.web.access import AccessControl, Gate
from experiments.web.serving import FOREVER

_STATIC = Path(__file__).parent / "static"
_GATE = Gate(re.compile(r"/|/favicon\.ico|/(next|ratings|choices)|/static/[\w.-]+|/pictures/[0-9a-f]{24}"), 2**12)


class _Given(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rater: str


class _GivenStars(_Given):
    """Stars of an image."""

    question: str = Field(alias="item")
    answer: int = Field(alias="stars")


class _GivenChoice(_Given):
    """A choice from a look; None where one cannot tell."""

    question: str = Field(alias="look")
    answer: str | None = Field(alias="chosen")


def application(
    questions: Questions,
    repeats: float,
    hosts: tuple[str, ...] | None = None,
    auth: tuple[str, str] | None = None,
) -> ASGIApp:
    """The page of a run.

    Args:
        questions: of the run.
        repeats: see `next_turn`.
        hosts: see `AccessControl`.
        auth: likewise.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    lock = threading.Lock()  # requests come in several threads
    by_choice = isinstance(questions, StudyChoices)
    kind = "choices" if by_choice else "stars"
    model = _GivenChoice if by_choice else _GivenStars

    def turn(rater: str) -> dict[str, Any]:
        """What the page shows to somebody."""
        found = next_turn(questions, rater, repeats)
        shown = {} if found.question is None else questions.shown(found.question, rater)
        return {**shown, "given": found.given, "left": found.left}

    @app.get("/")
    def page() -> Response:
        text = (_STATIC / "rate.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace('data-kind=""', f'data-kind="{kind}"'))

    @app.get("/next")
    def following(rater: str) -> Response:
        try:
            name = checked_name(rater)
        except ValueError as error:
            return _refused(str(error))
        with lock:
            questions.refresh()
            return JSONResponse(turn(name))

    def keep(given: _GivenStars | _GivenChoice) -> Response:
        with lock:
            try:
                questions.add(given.question, given.rater, given.answer)
            except ValueError as error:
                return _refused(str(error))
            return JSONResponse(turn(checked_name(given.rater)))

    @app.post("/choices" if by_choice else "/ratings")
    async def answer(request: Request) -> Response:
        try:
            given = model.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(in_one_line(error))
        return await run_in_threadpool(keep, given)

    @app.get("/pictures/{item}")
    def picture(item: str) -> Response:
        try:
            path = questions.path(item)
        except FileNotFoundError:
            return _refused("picture: unknown", 404)
        return FileResponse(path, headers=FOREVER)

    app.mount("/static", StaticFiles(directory=_STATIC))
    return AccessControl(app, _GATE, hosts, auth)


def _refused(why: str, status: int = 422) -> Response:
    return JSONResponse({"error": why}, status)
