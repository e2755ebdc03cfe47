"""The web application: the page, JSON routes, pictures, uploads and downloads, and the gate in front."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, TypeAlias

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from PIL.Image import Image
from pydantic_core import from_json
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.files.html import script_source
from experiments.studio.history.acts import LONGEST
from experiments.studio.web.api import PageApi
from experiments.studio.web.downloads import write_archive, write_best
from experiments.studio.web.uploads import MAX_BYTES
from experiments.web.access import AccessControl, Gate
from experiments.web.serving import FOREVER

STATIC = Path(__file__).parent / "static"
_PATHS = re.compile(
    r"/|/favicon\.ico|/(about|session|acts|rounds|cancel|insight|predictions|uploads|session\.zip|best\.(yaml|zip))"
    r"|/blind/(pair|verdicts|result)|/static/[\w./-]+|/(pictures|details)/[0-9a-f]{16}|/maps/[0-9a-f]{16}/\w+"
    r"|/previews/\d{1,3}"
)
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_CHUNK = 2**20  # bytes
_NOT_KEPT = {"cache-control": "no-store"}

Values: TypeAlias = dict[str, Any]


def application(api: PageApi, hosts: tuple[str, ...] | None = None, auth: tuple[str, str] | None = None) -> ASGIApp:
    """The studio as an ASGI application.

    Args:
        api: of the session.
        hosts: see `AccessControl`.
        auth: likewise.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(ValueError, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    page = STATIC / "index.html"

    @app.get("/")
    def index() -> Response:
        return FileResponse(page, headers=_NOT_KEPT)

    _add_session(app, api)
    _add_blind(app, api)
    _add_pictures(app, api)
    _add_downloads(app, api)
    app.mount("/static", StaticFiles(directory=STATIC))
    gate = Gate(_PATHS, MAX_BYTES, f"'self' {_import_map_hash(page.read_text(encoding='utf-8'))}")
    return AccessControl(app, gate, hosts, auth)


def _import_map_hash(page: str) -> str:
    """The page's import map, its only script that is not a file, as a content security policy names it."""
    found = _IMPORT_MAP.search(page)
    assert found is not None
    return script_source(found[1])


async def _sent(request: Request) -> Values:
    """The body of a request: a JSON object.

    Raises:
        ValueError: it is something else, or too long.
    """
    body = await request.body()
    if len(body) > LONGEST:
        raise ValueError(f"body: {len(body)} bytes; allowed: up to {LONGEST}")
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise ValueError("body: not JSON; allowed: an object") from None
    if not isinstance(values, dict):
        raise ValueError(f"body: {type(values).__name__}; allowed: an object")
    return values


Sent: TypeAlias = Annotated[Values, Depends(_sent)]


async def _refused(request: Request, error: Exception) -> Response:
    """One line, whoever found what is wrong."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        message = f"{first['loc'][-1]}: {first['msg']}"
    else:
        message = str(error)
    return JSONResponse({"error": " ".join(message.split())}, 422)


def _add_session(app: FastAPI, api: PageApi) -> None:
    @app.get("/about")
    def about() -> Values:
        return api.about()

    @app.get("/session")
    def look(rater: str, version: str = "", changed: str = "") -> Response:
        seen = api.look({"rater": rater, "version": version, "changed": changed})
        return Response(status_code=304) if seen is None else JSONResponse(seen, headers=_NOT_KEPT)

    @app.post("/acts")
    def act(values: Sent) -> Values:
        return api.act(values)

    @app.post("/rounds")
    def generate(values: Sent) -> Values:
        return api.generate(values)

    @app.post("/cancel")
    def cancel() -> Values:
        return api.cancel()

    @app.get("/insight")
    def insight() -> Values:
        return api.insight()

    @app.post("/predictions")
    def predictions(values: Sent) -> Values:
        return api.predictions(values)

    @app.get("/details/{image}")
    def details(image: str) -> Values:
        return api.details(image)

    @app.post("/uploads")
    async def upload(request: Request, rater: str, id: str, sign: str, name: str = "") -> Values:
        data = await request.body()  # no longer than the gate allows
        return await run_in_threadpool(api.upload, data, {"rater": rater, "id": id, "sign": sign, "name": name})


def _add_blind(app: FastAPI, api: PageApi) -> None:
    @app.get("/blind/pair")
    def pair(rater: str) -> Values:
        return api.pair({"rater": rater})

    @app.post("/blind/verdicts")
    def judge(values: Sent) -> Values:
        return api.judge(values)

    @app.get("/blind/result")
    def result() -> Values:
        return api.result()


def _add_pictures(app: FastAPI, api: PageApi) -> None:
    @app.get("/pictures/{image}")
    def picture(image: str, download: str | None = None) -> Response:
        try:
            path = api.session.pictures.path(image)
        except ValueError as error:
            return _unknown(str(error))
        return FileResponse(path, headers=FOREVER, filename=None if download is None else path.name)

    @app.get("/maps/{image}/{kind}")
    def overlay(image: str, kind: str) -> Response:
        if api.predicted is None:
            return _unknown("map: the studio was started without a predictor")
        return _png(partial(api.predicted.overlay, image, kind), FOREVER)

    @app.get("/previews/{place}")
    def preview(place: int) -> Response:
        return _png(partial(api.preview, place), _NOT_KEPT)


def _png(draw: Callable[[], Image], headers: dict[str, str]) -> Response:
    """A picture, or why there is none, as a `ValueError` of `draw` says."""
    try:
        picture = draw()
    except ValueError as error:
        return _unknown(str(error))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Response(file.getvalue(), headers=headers, media_type="image/png")


def _unknown(why: str) -> Response:
    return JSONResponse({"error": why}, 404)


def _add_downloads(app: FastAPI, api: PageApi) -> None:
    @app.get("/session.zip")
    def session(favourites: str | None = None) -> Response:
        name = "favourites" if favourites is not None else "session"
        return _zip(name, lambda file: write_archive(api.session, file, favourites is not None))

    @app.get("/best.zip")
    def bundle() -> Response:
        return _zip("best", lambda file: write_best(api.session, file))

    @app.get("/best.yaml")
    def best() -> Response:
        text = api.session.best().to_yaml(api.session.fabric.host.knobs)
        return Response(text.encode(), 200, _attachment("best.yaml"), "application/yaml")


def _zip(name: str, write: Callable[[IO[bytes]], None]) -> Response:
    """A ZIP that is written to the disk first, so that it needs no memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
    write(file)
    size = file.tell()
    file.seek(0)
    chunks = iter(lambda: file.read(_CHUNK), b"")
    headers = {**_attachment(f"{name}.zip"), "content-length": str(size)}
    return StreamingResponse(chunks, 200, headers, "application/zip", BackgroundTask(file.close))


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
