"""The rating page as an ASGI application: a page, pictures, and two questions that it asks."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.config.errors import in_one_line
from experiments.people.queue import next_turn
from experiments.people.ratings import StudyRatings, checked_name
from experiments.web.access import AccessControl, Gate
from experiments.web.serving import FOREVER

_STATIC = Path(__file__).parent / "static"
_GATE = Gate(re.compile(r"/|/favicon\.ico|/(next|ratings)|/static/[\w.-]+|/pictures/[0-9a-f]{24}"), 2**12)


class _Given(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rater: str
    item: str
    stars: int


def application(
    ratings: StudyRatings,
    repeats: float,
    hosts: tuple[str, ...] | None = None,
    auth: tuple[str, str] | None = None,
) -> ASGIApp:
    """The page of a run.

    Args:
        ratings: of the run.
        repeats: see `next_turn`.
        hosts: see `AccessControl`.
        auth: likewise.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    lock = threading.Lock()  # requests come in several threads

    def turn(rater: str) -> dict[str, Any]:
        """What the page shows to somebody."""
        found = next_turn(ratings, rater, repeats)
        item = None if found.item is None else {"id": found.item.id, "prompt": found.item.prompt}
        return {"item": item, "given": found.given, "left": found.left}

    @app.get("/")
    def page() -> Response:
        return FileResponse(_STATIC / "rate.html")

    @app.get("/next")
    def following(rater: str) -> Response:
        try:
            name = checked_name(rater)
        except ValueError as error:
            return _refused(str(error))
        with lock:
            ratings.refresh()
            return JSONResponse(turn(name))

    @app.post("/ratings")
    async def rate(request: Request) -> Response:
        try:
            given = _Given.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(in_one_line(error))
        return await run_in_threadpool(keep, given)

    def keep(given: _Given) -> Response:
        with lock:
            try:
                ratings.add(given.item, given.rater, given.stars)
            except ValueError as error:
                return _refused(str(error))
            return JSONResponse(turn(checked_name(given.rater)))

    @app.get("/pictures/{item}")
    def picture(item: str) -> Response:
        try:
            path = ratings.path(item)
        except FileNotFoundError:
            return _refused("picture: unknown", 404)
        return FileResponse(path, headers=FOREVER)

    app.mount("/static", StaticFiles(directory=_STATIC))
    return AccessControl(app, _GATE, hosts, auth)


def _refused(why: str, status: int = 422) -> Response:
    return JSONResponse({"error": why}, status)
