"""The rating page as an ASGI application: a page, pictures, and two questions that it asks."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.people.queue import next_turn
from experiments.people.ratings import MOST_CHARACTERS, StudyRatings
from experiments.web.access import AccessControl, Gate

_STATIC = Path(__file__).parent / "static"
_GATE = Gate(re.compile(r"/|/favicon\.ico|/(next|ratings)|/static/[\w.-]+|/pictures/[0-9a-f]{24}"), 2**12)
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}  # a picture's name is its content


class _Given(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rater: str
    item: str
    stars: StrictInt


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
        if not 0 < len(rater.strip()) <= MOST_CHARACTERS:
            return _refused(f"rater: a name of 1 to {MOST_CHARACTERS} characters is allowed")
        with lock:
            ratings.refresh()
            return JSONResponse(turn(rater.strip()))

    @app.post("/ratings")
    async def rate(request: Request) -> Response:
        try:
            given = _Given.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors()[0]
            return _refused(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
        return await run_in_threadpool(keep, given)

    def keep(given: _Given) -> Response:
        with lock:
            try:
                ratings.add(given.item, given.rater, given.stars)
            except ValueError as error:
                return _refused(str(error))
            return JSONResponse(turn(given.rater.strip()))

    @app.get("/pictures/{item}")
    def picture(item: str) -> Response:
        try:
            path = ratings.path(item)
        except FileNotFoundError:
            return _refused("picture: unknown", 404)
        return FileResponse(path, headers=_FOREVER)

    app.mount("/static", StaticFiles(directory=_STATIC))
    return AccessControl(app, _GATE, hosts, auth)


def _refused(why: str, status: int = 422) -> Response:
    return JSONResponse({"error": why}, status)
