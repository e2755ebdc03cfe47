"""The web application: Gradio's page, routes for pictures, uploads and downloads, and the gate in front."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.studio.web.api import PageApi
from experiments.studio.web.downloads import write_archive
from experiments.studio.web.page import THEME, build_page
from experiments.studio.web.uploads import MAX_BYTES
from experiments.web.access import AccessControl, Gate
from experiments.web.serving import FOREVER

# Gradio's routes that the page needs. Those that read, write or fetch files are not among them.
_PATHS = re.compile(
    r"/(config/?|theme\.css|favicon\.ico|manifest\.json|pwa_icon(/\d+)?|robots\.txt)?"
    r"|/(assets|static|svelte)/[\w./@~-]+"
    r"|/gradio_api/(startup-events|theme\.css|info/?|component_server/?|app_id/?|heartbeat/\w+)"
    r"|/studio/[\w./-]+"
)
_GATE = Gate(_PATHS, MAX_BYTES, "'self' 'unsafe-inline' 'unsafe-eval' data: blob:")  # Gradio cannot do without
STATIC = Path(__file__).parent / "static"
_CHUNK = 2**20  # bytes


def application(api: PageApi, hosts: tuple[str, ...] | None = None, auth: tuple[str, str] | None = None) -> ASGIApp:
    """The studio as an ASGI application.

    Args:
        api: of the session.
        hosts: see `AccessControl`.
        auth: likewise.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _add_pictures(app, api)
    _add_downloads(app, api)
    app.mount("/studio/static", StaticFiles(directory=STATIC))
    mounted = gr.mount_gradio_app(
        app,
        build_page(api),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=0,  # uploads have a route of their own
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        head='<link rel="stylesheet" href="studio/static/page.css">',
    )
    return AccessControl(mounted, _GATE, hosts, auth)


def _add_pictures(app: FastAPI, api: PageApi) -> None:
    @app.get("/studio/pictures/{image}")
    def picture(image: str, download: str | None = None) -> Response:
        try:
            path = api.session.pictures.path(image)
        except ValueError as error:
            return Response(str(error), 404)
        return FileResponse(path, headers=FOREVER, filename=None if download is None else path.name)

    @app.get("/studio/maps/{image}/{kind}")
    def overlay(image: str, kind: str) -> Response:
        if api.predicted is None:
            return Response("map: the studio was started without a predictor", 404)
        try:
            found = api.predicted.overlay(image, kind)
        except ValueError as error:
            return Response(str(error), 404)
        file = io.BytesIO()
        found.save(file, "PNG")
        return Response(file.getvalue(), headers=FOREVER, media_type="image/png")

    @app.post("/studio/upload")
    async def upload(request: Request, rater: str, id: str, sign: str, name: str = "") -> Response:
        data = await request.body()  # no longer than the gate allows
        values = {"rater": rater, "id": id, "sign": sign, "name": name}
        return JSONResponse(await run_in_threadpool(api.upload, data, values))


def _add_downloads(app: FastAPI, api: PageApi) -> None:
    @app.get("/studio/session.zip")
    def session(favourites: str | None = None) -> Response:
        name = "favourites" if favourites is not None else "session"
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
        write_archive(api.session, file, favourites is not None)
        size = file.tell()
        file.seek(0)
        chunks = iter(lambda: file.read(_CHUNK), b"")
        headers = {**_attachment(f"{name}.zip"), "content-length": str(size)}
        return StreamingResponse(chunks, 200, headers, "application/zip", BackgroundTask(file.close))

    @app.get("/studio/best.yaml")
    def best() -> Response:
        text = api.session.best().to_yaml()
        return Response(text.encode(), 200, _attachment("best.yaml"), "application/yaml")


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
