"""The web application: Gradio's page, routes for pictures, uploads and downloads, and the gate in front."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from experiments.studio.web.desk import Desk
from experiments.studio.web.downloads import archive
from experiments.studio.web.gate import Gate
from experiments.studio.web.page import THEME, build_page

STATIC = Path(__file__).parent / "static"
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}  # a picture's name is its content


def application(desk: Desk, hosts: tuple[str, ...] | None = None, auth: tuple[str, str] | None = None) -> ASGIApp:
    """The studio as an ASGI application.

    Args:
        desk: of the session.
        hosts: see `Gate`.
        auth: likewise.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _add_pictures(app, desk)
    _add_downloads(app, desk)
    app.mount("/studio/static", StaticFiles(directory=STATIC))
    mounted = gr.mount_gradio_app(
        app,
        build_page(desk),
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
    return Gate(mounted, hosts, auth)


def _add_pictures(app: FastAPI, desk: Desk) -> None:
    @app.get("/studio/pictures/{image}")
    def picture(image: str, download: str | None = None) -> Response:
        try:
            path = desk.session.path(image)
        except ValueError as error:
            return Response(str(error), 404)
        return FileResponse(path, headers=_FOREVER, filename=None if download is None else path.name)

    @app.post("/studio/upload")
    async def upload(request: Request, rater: str, id: str, sign: str, name: str = "") -> Response:
        data = await request.body()  # no longer than the gate allows
        values = {"rater": rater, "id": id, "sign": sign, "name": name}
        return JSONResponse(await run_in_threadpool(desk.upload, data, values))


def _add_downloads(app: FastAPI, desk: Desk) -> None:
    @app.get("/studio/session.zip")
    def session(favourites: str | None = None) -> Response:
        name = "favourites" if favourites is not None else "session"
        return _file(archive(desk.session, favourites is not None), f"{name}.zip", "application/zip")

    @app.get("/studio/best.yaml")
    def best() -> Response:
        return _file(desk.session.best().to_yaml().encode(), "best.yaml", "application/yaml")


def _file(data: bytes, name: str, kind: str) -> Response:
    return Response(data, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})
