"""The page and what it asks for. Every request shows the token; what changes something comes from the page itself."""

import errno
import hmac
import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fast_style.errors import FastStyleError, FileError, InputError, StudioError, StyleNotFoundError
from fast_style.extras import install_command
from fast_style.images import load_image
from fast_style.images.find import INCLUDED
from fast_style.model.ground import Forms
from fast_style.model.passes import smallest_side
from fast_style.studio.library import Library, check_title, file_name
from fast_style.studio.pictures import Choice, Films, Painter, as_jpeg
from fast_style.studio.runs import Trainings, Wish
from fast_style.studio.uploads import check_folder, for_the_page, keep_film, keep_picture, list_folder, receive
from fast_style.styles.adapter import SUFFIX as ADAPTER_SUFFIX
from fast_style.styles.catalog import own_paths
from fast_style.web import write_page

_STATIC = Path(__file__).parent / "static"
_MOST_JSON = 65_536
_FRAME_SIZE = 640  # of the camera, px
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_ENTRANCE = "This page opens with the address that 'fast-style studio' printed, which holds a key.\n"


def make_app(
    library: Library,
    trainings: Trainings,
    *,
    port: int,
    roots: Sequence[Path],
    runtime: Path | None = None,
    ticket: str | None = None,
) -> ASGIApp:
    """Put the studio together, see :func:`open_studio`; requests for other hosts than this one are refused.

    A ticket lets in once, as the token does.
    """
    studio = _Studio(library, trainings, [root.resolve() for root in roots], runtime)
    routes = [
        Route("/", partial(_send, name="index.html")),
        Route("/studio.js", partial(_send, name="studio.js")),
        Route("/studio.css", partial(_send, name="studio.css")),
        Route("/icon.svg", partial(_send, name="icon.svg")),
        Route("/api/state", studio.state),
        Route("/api/folders", studio.folders),
        Route("/api/pace", studio.pace),
        Route("/api/paintings", partial(studio.add_picture, place="paintings", kind="painting"), methods=["POST"]),
        Route("/api/tries", partial(studio.add_picture, place="tries", kind="photo"), methods=["POST"]),
        Route("/api/uploads/{kind}/{name}", studio.preview_upload),
        Route("/api/runs", studio.start, methods=["POST"]),
        Route("/api/runs/{name}/curves", _plain(trainings.curves)),
        Route("/api/runs/{name}/previews/{picture}", studio.preview),
        Route("/api/runs/{name}/pause", _plain(partial(trainings.wish, wish="pause")), methods=["POST"]),
        Route("/api/runs/{name}/resume", _plain(partial(trainings.wish, wish="resume")), methods=["POST"]),
        Route("/api/runs/{name}/stop", _plain(partial(trainings.wish, wish="stop")), methods=["POST"]),
        Route("/api/styles/{name}", _plain(trainings.delete), methods=["DELETE"]),
        Route("/api/styles/{name}/title", studio.rename, methods=["POST"]),
        Route("/api/styles/{name}/card", studio.card),
        Route("/api/styles/{name}/paint", studio.paint),
        Route("/api/styles/{name}/frame", studio.frame, methods=["POST"]),
        Route("/api/styles/{name}/film", studio.add_film, methods=["POST"]),
        Route("/api/styles/{name}/export/{kind}", studio.export),
        Route("/api/films/{identity}/stop", _plain(studio.films.stop), methods=["POST"]),
        Route("/api/films/{identity}/file", studio.film_file),
    ]
    errors = dict.fromkeys((FastStyleError, ClientDisconnect, OSError, Exception), _answer)
    return _Guard(Starlette(routes=routes, exception_handlers=errors), library.token(), port, ticket)


class _Guard:
    """Lets in who shows the token, or the ticket once, under our own host's name; gives every answer its headers."""

    def __init__(self, app: ASGIApp, token: str, port: int, ticket: str | None) -> None:
        self._app, self._token, self._ticket = app, token, ticket
        self._cookie = f"fast-style-studio-{port}"
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on."""
        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
            await send(message)

        answer = self._refuse(request)
        await (self._app if answer is None else answer)(scope, receive, send_with_headers)

    def _refuse(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if host not in self._hosts:  # a name that some page had its server's name point here by
            return PlainTextResponse("This host is not the studio's.\n", 403)
        shown = request.query_params.get("token")
        if shown is not None and request.url.path == "/" and request.method == "GET":
            if self._ticket is not None and _equal(shown, self._ticket):
                self._ticket = None  # it lets in once
            elif not _equal(shown, self._token):
                return PlainTextResponse(_ENTRANCE, 403)
            answer = RedirectResponse("/", 303)  # the address bar and the history keep no key
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", max_age=30 * 24 * 3600)
            return answer
        if not _equal(request.cookies.get(self._cookie, ""), self._token):
            return PlainTextResponse(_ENTRANCE, 403)
        if request.method not in {"GET", "HEAD"} and request.headers.get("origin") != f"http://{host}":
            return PlainTextResponse("This does not come from the studio's page.\n", 403)
        return None


def _equal(shown: str, secret: str) -> bool:
    return hmac.compare_digest(shown.encode(), secret.encode())


def _answer(request: Request, error: Exception) -> Response:
    """Turn an error into words and a remedy; a traceback goes to the terminal alone."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)
    status, said, hint = 500, "Something went wrong in the studio.", "Try again. The terminal has the details."
    if isinstance(error, FastStyleError):
        kinds = ((StyleNotFoundError, 404), (StudioError, 409), (FileError, 507))
        status = next((status for kind, status in kinds if isinstance(error, kind)), 400)
        said, hint = str(error), error.hint or ""
    elif isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        status, said = 507 if full else 500, f"The disk says: {error.strerror or error}."
        hint = f"{'Make room on it' if full else 'Check the folder of the studio'}, then try again."
    return JSONResponse({"error": said[:1].upper() + said[1:], "hint": hint}, status)


def _send(request: Request, name: str) -> Response:
    return FileResponse(_STATIC / name)


def _plain(call: Callable[..., dict[str, Any] | None]) -> Callable[[Request], Response]:
    """Make an endpoint of a function that takes what stands in the address, and gives plain values or nothing."""
    return lambda request: JSONResponse(call(**request.path_params) or {})


class _Studio:
    """The other endpoints; those that are not coroutines run in threads."""

    def __init__(self, library: Library, trainings: Trainings, roots: list[Path], runtime: Path | None) -> None:
        self._library, self._trainings, self._roots, self._runtime = library, trainings, roots, runtime
        self._painter, self.films = Painter(library), Films()

    def state(self, request: Request) -> Response:
        own = own_paths().values()
        styles, runs = [entry.as_dict(own) for entry in self._library.styles()], self._trainings.unfinished()
        can = {"trains": find_spec("torch") is not None, "install": install_command("studio")}
        return JSONResponse({"styles": styles, "runs": runs, "film": self.films.newest(), **can})

    def folders(self, request: Request) -> Response:
        return JSONResponse(list_folder(self._roots, request.query_params.get("path", "")))

    def pace(self, request: Request) -> Response:
        asked = request.query_params
        return JSONResponse(self._trainings.pace(asked.get("network", "fast"), asked.get("start", "nearest")))

    async def add_picture(self, request: Request, place: str, kind: str) -> Response:
        self._library.forget_uploads()
        path = await receive(request.stream(), self._library.place(place), kind)
        shown_as = request.query_params.get("name", "")[:100] or f"the {kind}"
        return JSONResponse(await run_in_threadpool(keep_picture, path, shown_as))

    def preview_upload(self, request: Request) -> Response:
        kind, name = request.path_params["kind"], request.path_params["name"]
        if kind not in {"paintings", "tries"} or not name.endswith(".jpg"):
            raise HTTPException(404)
        return FileResponse(self._library.upload(kind, name))

    async def start(self, request: Request) -> Response:
        asked = await _read_json(request)
        wish = Wish(
            title=check_title(asked.get("title")),
            network=_text(asked, "network", "fast"),
            steps=int(_number(asked, "steps", 0)),
            strength=_number(asked, "strength", 1.0),
            start=_text(asked, "start", "nearest"),
            keep_frame=asked.get("keep_frame") is True,
            **{name: _text(asked, name).strip() for name in ("artist", "year", "license")},
        )
        painting = self._library.upload("paintings", _text(asked, "painting"))
        folder = _text(asked, "folder")
        photos = check_folder(self._roots, folder) if folder else INCLUDED
        return JSONResponse({"name": await run_in_threadpool(self._trainings.start, wish, painting, photos)}, 201)

    def preview(self, request: Request) -> Response:
        picture = request.path_params["picture"]
        path = self._library.run(request.path_params["name"]) / "previews" / picture
        if not re.fullmatch(r"step-\d+\.png", picture) or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path)

    async def rename(self, request: Request) -> Response:
        self._library.rename(request.path_params["name"], (await _read_json(request)).get("title"))
        return JSONResponse({})

    def card(self, request: Request) -> Response:
        photo = request.query_params.get("photo")
        path = self._library.upload("tries", photo) if photo else None
        return FileResponse(self._painter.card(request.path_params["name"], path))

    def paint(self, request: Request) -> Response:
        asked = request.query_params
        size, choice = int(_number(asked, "size", 0)) or None, _choice(asked)
        picture = load_image(self._library.upload("tries", asked.get("photo", "")), size=size, opaque=True)
        painted = self._painter.paint(request.path_params["name"], picture, choice)
        return Response(as_jpeg(painted, quality=94), media_type="image/jpeg")

    async def frame(self, request: Request) -> Response:
        choice = _choice(request.query_params)
        path = await receive(request.stream(), self._library.place("tries"), "frame")

        def paint() -> bytes:
            picture = load_image(path, size=_FRAME_SIZE, opaque=True)
            return as_jpeg(self._painter.paint(request.path_params["name"], picture, choice), quality=80)

        try:
            return Response(await run_in_threadpool(paint), media_type="image/jpeg")
        except InputError as error:
            raise for_the_page(error, path, "the frame") from error
        finally:
            path.unlink()

    async def add_film(self, request: Request) -> Response:
        style, asked = self._library.style(request.path_params["name"]), request.query_params
        size, choice = int(_number(asked, "size", 640)) or None, _choice(asked)
        self._library.forget_uploads()
        path = await receive(request.stream(), self._library.place("tries"), "film")
        source, name = await run_in_threadpool(keep_film, path), asked.get("name", "film")[:100]
        return JSONResponse({"id": self.films.start(style, source, name, choice, size)}, 201)

    def film_file(self, request: Request) -> Response:
        return FileResponse(self.films.file(request.path_params["identity"]), filename="film.mp4")

    def export(self, request: Request) -> Response:
        entry, kind = self._library.style(request.path_params["name"]), request.path_params["kind"]
        name = file_name(entry.title) if entry.own else entry.name
        if kind in {"app", "page"}:
            archive = self._pack(kind, entry.path, name)
            return FileResponse(archive, filename=f"{name}-{kind}.zip", background=BackgroundTask(archive.unlink))
        suffix = {"onnx": ".onnx", "card": ".json", "adapter": ADAPTER_SUFFIX}.get(kind, ".none")
        path = entry.path.with_suffix(suffix)
        if not path.is_file():
            raise InputError(f"{entry.title} has no {kind}", hint="Adapters come from a training of an adapter.")
        return FileResponse(path, filename=name + suffix)

    def _pack(self, kind: str, style: Path, name: str) -> Path:
        """Pack a page's folder, or for an app a file that takes and gives pixels, and how to call it."""
        tries = self._library.place("tries")
        with tempfile.TemporaryDirectory(prefix=f".{kind}-", dir=tries) as temporary:
            folder = Path(temporary) / name
            if kind == "page":
                write_page([style], folder, runtime=self._runtime)
            else:
                folder.mkdir()
                passes = self._trainings.export_for_app(style, folder / f"{name}.onnx")
                text = (_STATIC / "app.txt").read_text(encoding="utf-8").replace("STYLE", name)
                text = text.replace("PASSES", str(passes)).replace("SMALLEST", str(smallest_side(passes)))
                (folder / "README.txt").write_text(text, encoding="utf-8")
            return Path(shutil.make_archive(str(tries / secrets.token_hex(16)), "zip", temporary, name))


async def _read_json(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON:
            raise InputError("the request is too large")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):  # thousands of brackets nest too deeply
        asked = None
    if not isinstance(asked, dict):
        raise InputError("the request is not a JSON object", hint="Reload the page.")
    return asked


def _text(asked: Mapping[str, Any], name: str, default: str = "") -> str:
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; expected text")
    return value


def _choice(asked: Mapping[str, str]) -> Choice:
    """Read what is chosen of a file, and how it paints."""
    passes = int(_number(asked, "passes", 0)) or None
    first, second, share = _text(asked, "part"), _text(asked, "other"), _number(asked, "share", 0.5)
    if not 0 <= share <= 1:
        raise InputError(f"share is {share:g}; expected 0 to 1")
    weights = {first: 1 - share, second: share} if second and second != first else {first: 1.0}
    chosen = {name: weight for name, weight in weights.items() if name and weight}
    ground = cast("Forms", _text(asked, "ground")) or None  # checked where it is laid
    blend, keep_colors = _number(asked, "blend", 1.0), asked.get("colors") == "1"
    return Choice(chosen, _number(asked, "strength", 1.0), passes, ground, blend, keep_colors)


def _number(asked: Mapping[str, Any], name: str, default: float) -> float:
    value = asked.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not -1e9 < number < 1e9:
        raise InputError(f"{name} is {value!r}; expected a number")
    return number
