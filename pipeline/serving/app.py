"""The HTTP interface: its paths, and how mistakes are told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pipeline.serving import answers
from pipeline.serving.batcher import MOST_WAITING, Batcher
from pipeline.serving.document import ERRORS, EXPLORED, METRICS, SAMPLES, document
from pipeline.serving.errors import Refused, shown
from pipeline.serving.limits import MOST_BYTES, Limits
from pipeline.serving.metrics import CONTENT_TYPE_LATEST, Metrics
from pipeline.serving.questions import (
    MOST_IMAGES,
    Nearest,
    Noise,
    Order,
    Samples,
    check_sheet,
    order,
)
from pipeline.serving.switching import Switch

_PAGE = Path(__file__).with_name("page")
_PAGES = {"index.html": "/", "docs.html": "/docs"}


def application(switch: Switch, hosts: tuple[str, ...] = ("*",), poll_s: float = 0.0) -> FastAPI:
    """The server's application.

    Args:
        switch: the model.
        hosts: names that a request's Host header may have; the others are refused, so that a page
            from elsewhere cannot reach this server by a name of its own.
        poll_s: seconds between two looks for other weights; 0 for never.
    """
    batcher = Batcher(drawn=lambda images: metrics.batches.observe(images))
    metrics = Metrics(lambda: batcher.waiting)
    beside = ThreadPoolExecutor(1, "beside")  # what may take seconds and is not drawing

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        if poll_s:
            switch.watch(poll_s)
        yield
        switch.close()
        batcher.close()
        beside.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="Stacked GAN", version="1", lifespan=living, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    served = switch.model
    metrics.serves(served.address, served.version, served.sha256)

    def switched(model: Any) -> None:
        metrics.switches.inc()
        metrics.serves(model.address, model.version, model.sha256)

    switch.switched, switch.failed = switched, metrics.failures.inc
    _add_drawing(app, switch, batcher)
    _add_exploring(app, switch, batcher, beside)
    _add_telling(app, switch, metrics)
    _add_errors(app)
    app.openapi = lambda: document(app.routes, switch.model)  # type: ignore[method-assign]
    routes = [route for route in app.routes if isinstance(route, Route)]
    paths = frozenset(route.path for route in routes)
    posts = frozenset(route.path for route in routes if "POST" in (route.methods or ()))
    app.add_middleware(Limits, metrics=metrics, paths=paths, posts=posts, hosts=hosts)
    return app


def _add_drawing(app: FastAPI, switch: Switch, batcher: Batcher) -> None:
    @app.post("/v1/samples", responses=SAMPLES, response_class=Response, tags=["draw"])
    async def samples(question: Samples, request: Request) -> Response:
        """Images of a class: the same for the same label, seed and z, whatever is drawn with them.

        The answer's header `X-Seed` has the seed: asked for again with it, the images are these.
        """
        model = switch.model
        check_sheet(question, model)
        asked = order(question, model, question.count)
        images = await _drawn(request, batcher, asked)
        headers = {"X-Seed": str(asked.seed), "X-Model-Version": model.version}
        if question.format == "json":
            told = await asyncio.to_thread(answers.told, images, asked)
            return JSONResponse(told, headers=headers)
        if question.format == "zip":
            headers["Content-Disposition"] = f'attachment; filename="samples-{asked.seed}.zip"'
            packed = await asyncio.to_thread(answers.zipped, images, asked)
            return Response(packed, media_type="application/zip", headers=headers)
        drawn = await asyncio.to_thread(answers.sheet, images, question)
        return Response(drawn, media_type="image/png", headers=headers)


async def _drawn(request: Request, batcher: Batcher, asked: Order) -> np.ndarray:
    """The images of a request. Once its client has left no more of them are drawn: Refused (499),
    which nobody reads."""
    drawing = asyncio.create_task(batcher.images(asked))
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((drawing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not drawing.done():
            raise Refused(499, "the client has left")
        return drawing.result()
    finally:
        drawing.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    """Return when the client of a request, whose body has been read, is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_exploring(
    app: FastAPI, switch: Switch, batcher: Batcher, beside: ThreadPoolExecutor
) -> None:
    @app.post("/v1/nearest", responses=EXPLORED, tags=["explore"])
    async def nearest(question: Nearest, request: Request, response: Response) -> dict[str, Any]:
        """The training image that is nearest to a sample, by Euclidean distance of pixels in
        [0, 1]. 404 where the training images are not at hand."""
        model = switch.model
        asked = order(question, model)
        if model.training is None:
            raise Refused(404, model.why_none)
        image = (await _drawn(request, batcher, asked))[0]
        loop = asyncio.get_running_loop()
        row, distance = await loop.run_in_executor(beside, model.training.nearest, image)
        label = int(model.training.labels[row])
        response.headers["X-Model-Version"] = model.version
        return {
            "row": row,
            "distance": distance,
            "label": label,
            "class": model.classes[label],
            "png": base64.b64encode(answers.png(model.training.images[row])).decode(),
        }

    @app.get("/v1/directions", responses=EXPLORED, tags=["explore"])
    async def directions(response: Response) -> dict[str, Any]:
        """Along which directions of Φ⁻¹(z_i), each N(0, 1), the image changes most, and which share
        of the change each makes up. Measured at the first request."""
        model = switch.model
        found = await asyncio.get_running_loop().run_in_executor(beside, model.directions)
        response.headers["X-Model-Version"] = model.version
        return {
            "version": model.version,
            "levels": [
                {"level": i, "vectors": found.vectors[i].tolist(), "shares": found.shares[i]}
                for i in sorted(found.vectors)
            ],
        }


def _add_telling(app: FastAPI, switch: Switch, metrics: Metrics) -> None:
    @app.get("/v1/model", responses=ERRORS, tags=["model"])
    async def model() -> dict[str, Any]:
        """Which stack is served, what it draws, and the limits of a request."""
        limits = {
            "count": MOST_IMAGES, "body_bytes": MOST_BYTES, "images_waiting": MOST_WAITING,
        }  # fmt: skip
        return switch.model.facts() | {"limits": limits}

    @app.get("/healthz", responses=ERRORS, tags=["model"])
    async def healthz() -> dict[str, str]:
        """That the server draws, and with which weights."""
        return {"status": "ok", "model": switch.model.address, "version": switch.model.version}

    @app.get("/metrics", responses=METRICS, response_class=Response, tags=["model"])
    async def told() -> Response:
        """Requests, latencies, batches and the model, in Prometheus' text format."""
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    for file in sorted(_PAGE.iterdir()):
        path = _PAGES.get(file.name, f"/{file.name}")
        app.add_api_route(path, _file(file), include_in_schema=False, methods=["GET", "HEAD"])


def _file(file: Path) -> Any:
    async def page() -> FileResponse:
        return FileResponse(file)

    return page


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.status == 503 else None
        return JSONResponse({"error": error.sentence}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first, *others = error.errors()
        more = f" (and {len(others)} more mistakes)" if others else ""
        asked = Nearest if request.url.path == "/v1/nearest" else Samples
        return JSONResponse({"error": _sentence(first, asked) + more}, 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        told = {
            400: "the body is not JSON",
            404: f"{shown(request.url.path)}: no such path; /docs lists those that there are",
            405: f"{shown(request.method)} is not possible here",
        }
        sentence = told.get(error.status_code, str(error.detail))
        return JSONResponse({"error": sentence}, error.status_code, error.headers)


def _sentence(error: Any, asked: type[Noise]) -> str:
    """One sentence for one of pydantic's errors about a body of the kind `asked`."""
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error['ctx']['error']}"
    steps = [str(step) for step in error["loc"][1:]]
    field = ascii(".".join(steps))[1:-1][:80] or "the body"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in ("missing", "extra_forbidden"):
        allowed = ", ".join(asked.model_fields)
        wrong = "is missing" if error["type"] == "missing" else f"is none of {allowed}"
        return f"{field}: {wrong}"
    message = message[0].lower() + message[1:]
    return f"{field}: {shown(error.get('input'))}: {message.removeprefix('input ')}"
