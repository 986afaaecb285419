"""A service that paints photos: POST one to /stylize/STYLE, get a JPEG.

It needs requirements.txt and, in the folder ``styles``, files that take and give pixels::

    fast-style export starry-night --io uint8 --passes 3 -o styles/starry-night.onnx
    uvicorn --factory service:make_app --port 8000 --limit-concurrency 32
    curl --fail --data-binary @photo.jpg http://127.0.0.1:8000/stylize/starry-night -o out.jpg

Uploads, sizes, times and the number of photos that wait are bounded. uvicorn bounds the number of connections, but not
how slowly the headers of a request may arrive: on the open internet, put a proxy in front that does.
"""

from __future__ import annotations

import asyncio
import io
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True)
class Limits:
    """What one service takes on.

    Attributes:
        upload_bytes: Largest upload.
        upload_seconds: Longest time that an upload may take.
        photo_pixels: Most pixels of a photo, width times height; its header is read before anything is decoded.
        long_side: Larger photos are shrunk to this many px. Three passes are meant for 640.
        workers: Photos painted at a time. ONNX Runtime uses every core for each.
        waiting: Photos that may wait for a worker.
        seconds: Longest time that a photo may wait and be painted, together.
    """

    upload_bytes: int = 20_000_000
    upload_seconds: float = 20.0
    photo_pixels: int = 50_000_000
    long_side: int = 640
    workers: int = 1
    waiting: int = 8
    seconds: float = 20.0


LIMITS = Limits()


@dataclass(frozen=True)
class Style:
    """An ONNX file that takes and gives pixels, ready to run.

    Attributes:
        session: May be run by several threads at once.
        smallest: Smallest side of a photo, px.
    """

    session: onnxruntime.InferenceSession
    smallest: int

    @classmethod
    def open(cls, path: Path) -> Style:
        """Load a file.

        Raises:
            SystemExit: It does not take pixels.
        """
        session = onnxruntime.InferenceSession(path)
        facts = session.get_modelmeta().custom_metadata_map
        if facts.get("layout") != "NHWC RGB":
            sys.exit(f"error: {path} does not take pixels; export it with --io uint8")
        return cls(session, 16 * 2 ** (int(facts.get("passes", 1)) - 1))

    def paint(self, upload: bytes, limits: Limits, options: onnxruntime.RunOptions) -> bytes:
        """Turn an upload into a JPEG. It runs in a worker; ``options.terminate`` ends it early.

        Raises:
            HTTPException: The upload is not a photo, or too large or too small.
        """
        photo = _decode(upload, limits, self.smallest)
        (pictures,) = self.session.run(["stylized"], {"image": np.asarray(photo)[None]}, options)
        jpeg = io.BytesIO()
        Image.fromarray(pictures[0]).save(jpeg, "JPEG", quality=90)
        return jpeg.getvalue()


def _decode(upload: bytes, limits: Limits, smallest: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(upload), formats=("JPEG", "PNG", "WEBP")) as photo:
            if photo.width * photo.height > limits.photo_pixels:
                raise HTTPException(413, f"expected a photo of at most {limits.photo_pixels:,} px")
            # Before it is decoded, too: a line of millions of pixels takes long to shrink.
            if min(photo.size) * min(1, limits.long_side / max(photo.size)) < smallest:
                raise HTTPException(422, f"expected a photo of at least {smallest} px a side")
            # A JPEG can be decoded at a half, a quarter or an eighth of its size.
            photo.draft("RGB", (limits.long_side, limits.long_side))
            # Pillow shrinks what has a palette by leaving pixels out.
            shrunk = photo.convert("RGB") if photo.mode in {"1", "P"} else photo
            shrunk.thumbnail((limits.long_side, limits.long_side))
            return ImageOps.exif_transpose(shrunk).convert("RGB")
    except HTTPException:
        raise
    except Exception as error:  # a damaged file can make Pillow raise nearly anything
        raise HTTPException(415, "expected a JPEG, PNG or WebP") from error


class Service:
    """The styles, and the photos that are painted or wait."""

    def __init__(self, styles: dict[str, Style], limits: Limits) -> None:
        self.styles = styles
        self.limits = limits
        self.pool = ThreadPoolExecutor(limits.workers)
        self.photos: set[Future[bytes]] = set()

    def app(self) -> Starlette:
        """Make the application."""
        routes = [Route("/stylize/{style}", self.stylize, methods=["POST"]), Route("/health", self.health)]
        return Starlette(routes=routes, exception_handlers={HTTPException: _refuse})

    async def stylize(self, request: Request) -> Response:
        """Paint the photo in the body."""
        style = self.styles.get(request.path_params["style"])
        if style is None:
            raise HTTPException(404, f"expected one of the styles {', '.join(sorted(self.styles))}")
        upload = await self._read(request)
        # From here to the pool nothing is awaited, so no other request comes between.
        self.photos = {photo for photo in self.photos if not photo.done()}
        if len(self.photos) >= self.limits.workers + self.limits.waiting:
            raise HTTPException(503, "too many photos are waiting", headers={"Retry-After": "5"})
        options = onnxruntime.RunOptions()
        photo = self.pool.submit(style.paint, upload, self.limits, options)
        self.photos.add(photo)
        painted = asyncio.wrap_future(photo)
        # After the body, all that can be received is the end of the connection.
        gone = asyncio.ensure_future(request.receive())
        try:
            either: set[asyncio.Future[Any]] = {painted, gone}
            await asyncio.wait(either, timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if painted.done():
                return Response(painted.result(), media_type="image/jpeg")
            raise HTTPException(503, "the photo took too long", headers={"Retry-After": "5"})
        finally:
            gone.cancel()
            options.terminate = not painted.done()  # if it is being painted
            painted.cancel()  # if it still waits

    async def _read(self, request: Request) -> bytes:
        """Receive the body, within its bounds."""
        upload = bytearray()
        try:
            async with asyncio.timeout(self.limits.upload_seconds):
                async for part in request.stream():
                    upload += part
                    if len(upload) > self.limits.upload_bytes:
                        raise HTTPException(413, f"expected at most {self.limits.upload_bytes:,} bytes")
        except TimeoutError:
            raise HTTPException(408, f"expected the photo within {self.limits.upload_seconds:g} seconds") from None
        except ClientDisconnect:
            raise HTTPException(400, "the upload was broken off") from None  # no one is left to read it
        return bytes(upload)

    async def health(self, request: Request) -> Response:
        """Tell the styles, and how many photos are painted or wait."""
        return JSONResponse({"styles": sorted(self.styles), "photos": sum(not photo.done() for photo in self.photos)})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The rest of an upload that was refused is not read, so the connection cannot serve another request.
    headers = {**(error.headers or {}), "Connection": "close"}
    return JSONResponse({"error": error.detail}, error.status_code, headers)


def make_app(folder: Path = Path("styles"), limits: Limits = LIMITS) -> Starlette:
    """Make the application.

    Args:
        folder: Of style files; the name of each, without .onnx, is the name of the style.
        limits: What the service takes on.

    Raises:
        SystemExit: There is no style, or one does not take pixels.
    """
    styles = {path.stem: Style.open(path) for path in sorted(folder.glob("*.onnx"))}
    if not styles:
        sys.exit(f"error: no ONNX file in {folder.absolute()}; 'fast-style export' writes them")
    return Service(styles, limits).app()
