"""Pictures of any size, drawn in tiles without seams.

A picture that fits into memory is drawn at once. Of a larger one, the statistics are measured on parts of full size,
spread evenly over it, and fixed; then it is drawn in tiles, which overlap by the network's reach. A tile equals its
place in a picture drawn at once with these statistics.

Reference:
    Chen et al. 2022 (URST), section 3.2.

Differs from the paper:
    The statistics are those of parts at full size; a thumbnail has different ones. Tiles have the noise of their place,
    which never repeats, begin at cells of the network, and overlap by its computed reach, so nothing is blended.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from fast_style.errors import ModelError
from fast_style.images import Pixels, fit_size, mix, to_float, to_uint8
from fast_style.model.session import core_count
from fast_style.model.statistics import Statistics
from fast_style.pipeline import overlap
from fast_style.stylize.contract import SMALLEST_SIDE
from fast_style.stylize.look import Look
from fast_style.stylize.network import StyleNetwork
from fast_style.stylize.passes import RESTORED_AROUND, restore_coarse, underpaint, underpaint_in_parts
from fast_style.stylize.rasters import Box, Part, Raster, read_whole, to_part

# Largest picture that is drawn at once, px, and values of the features for each pixel for which it holds. `fast` takes
# some 170 bytes a pixel; a network with larger features draws fewer pixels in the same memory. Tiles take a fifth
# longer.
WHOLE_PIXELS = 6_000_000
_WHOLE_FEATURES = 3.0
# Largest photo whose drafts leave their memory to ONNX Runtime for the next pass, px: giving it back and getting it
# again takes a small photo a quarter of a pass.
_KEPT_PIXELS = 1_000_000
# Side of a tile without its overlap, px: a multiple of every network's stride, and not too large for the caches.
TILE = 1024
# Side of the parts that are measured, px.
_PART = 512
# Width of the border of a part that is not measured, px, as its surroundings are missing.
_RIM = 64
# Size of the copy that tells how the parts differ from the whole, px.
_COPY_PIXELS = 2_000_000
# Largest factor by which the copy changes a variance, and epsilon for variances of zero.
_MOST_CHANGE, _LEAST = 4.0, np.float32(1e-5)

Progress = Callable[[float], None]


def stylize_bands(
    network: StyleNetwork,
    photo: Raster,
    look: Look = Look(),
    *,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Part]]:
    """Stylize a picture of any size in bands, which are strips of rows.

    Args:
        network: The style's network.
        photo: The picture.
        look: How it is stylized; its size and masks do not count.
        progress: Called with the share that is done, 0.0 to 1.0, after each band.

    Yields:
        The first row of each band, and the band, (h, W, 3) of the photo's type, from the top to the bottom.

    Raises:
        ImageError: The picture is too small, or too large for the memory.
        InputError: ``passes`` is another number than that in which the style paints by itself.
        ModelError: The network produced NaN or infinity.
    """
    network.check_passes(look.passes)
    passes = network.count_passes(*photo.size, look.passes)

    if is_seen_whole(network, math.prod(photo.size)):
        yield 0, _draw_whole(network, photo, passes, look)
        return

    def draft(copy: Raster, before: Pixels | None) -> Pixels:
        if is_seen_whole(network, math.prod(copy.size)):
            drawn = network.floats(to_float(read_whole(copy)), keep_memory=False)
            coarse = None if before is None else to_float(before)
            return to_uint8(restore_coarse(drawn, coarse, threads=network.threads))
        painted = np.empty((*copy.size[::-1], 3), np.uint8)
        for top, band in _draw_tiles(network, copy, copy, before):
            painted[top : top + len(band)] = band
        return painted

    seen, before = underpaint_in_parts(
        draft, photo, passes=passes, strength=network.draft_strength, ground=network.ground, threads=network.threads
    )
    yield from _draw_tiles(network, seen, photo, before, look, progress)


def _draw_whole(network: StyleNetwork, photo: Raster, passes: int, look: Look) -> Part:
    part = read_whole(photo)
    if passes == 1 and part.dtype == np.uint8:
        return network.frame(part, blend=look.blend, keep_colors=look.keep_colors)
    draft = partial(network.floats, keep_memory=math.prod(photo.size) <= _KEPT_PIXELS)
    seen, before = underpaint(
        draft, photo, passes=passes, strength=network.draft_strength, ground=network.ground, threads=network.threads
    )
    drawn = restore_coarse(network.floats(seen), before, threads=network.threads)
    if look.blend < 1.0 or look.keep_colors:
        mix(to_float(part), drawn, blend=look.blend, keep_colors=look.keep_colors)
    return to_part(drawn, part)


def _draw_tiles(
    network: StyleNetwork,
    seen: Raster,
    photo: Raster,
    before: Pixels | None,
    look: Look = Look(),
    progress: Progress | None = None,
) -> Iterator[tuple[int, Part]]:
    """Stylize ``seen`` in bands, restore the coarse part of the draft, if there is one, and mix the photo in."""
    width, height = seen.size
    # Restoring sees the surroundings of a pixel, too, and begins at even ones.
    margin, step = network.reach + RESTORED_AROUND, math.lcm(2, network.stride)
    fixed = network.fixed(measure(network, seen), threads=1, endless=True)

    def draw(inner: Box) -> Part:
        box = _around(inner, margin, step, (width, height))
        left, top = inner[0] - box[0], inner[1] - box[1]
        part = seen.read(box)
        drawn = fixed.floats(to_float(part), origin=(box[1], box[0]))
        if before is not None:
            half = before[box[1] // 2 : -(-box[3] // 2), box[0] // 2 : -(-box[2] // 2)]
            drawn = restore_coarse(drawn, to_float(half), threads=1)
        drawn = drawn[:, :, top : top + inner[3] - inner[1], left : left + inner[2] - inner[0]]
        mix(to_float(photo.read(inner)), drawn, blend=look.blend, keep_colors=look.keep_colors)
        return to_part(drawn, part)

    rows = [(top, min(top + TILE, height)) for top in range(0, height, TILE)]
    columns = [(left, min(left + TILE, width)) for left in range(0, width, TILE)]
    boxes = ((left, top, right, bottom) for top, bottom in rows for left, right in columns)
    tiles = overlap(boxes, draw, workers=min(network.threads or core_count(), core_count()), ahead=1)
    try:
        for number, (top, _) in enumerate(rows):
            band = [next(tiles) for _ in columns]
            yield top, band[0] if len(band) == 1 else np.concatenate(band, axis=1)
            if progress is not None:
                progress((number + 1) / len(rows))
    finally:
        tiles.close()


def is_seen_whole(network: StyleNetwork, pixels: int) -> bool:
    """Return whether a picture of that size is drawn at once."""
    # For small ones the graph is not read, which takes longer than starting a session.
    return pixels <= WHOLE_PIXELS // 8 or not network.sees_parts or pixels <= _whole_pixels(network)


def _whole_pixels(network: StyleNetwork) -> int:
    return int(WHOLE_PIXELS * min(1.0, _WHOLE_FEATURES / network.features_per_pixel))


def measure(network: StyleNetwork, photo: Raster) -> Statistics:
    """Estimate a large picture's statistics from parts of full size and a small copy of the whole.

    The parts lie in the cells of an even grid, at random places. The copy has other statistics than the picture, but
    its parts differ from all of it as the picture's do, and that difference is added (a control variate).

    Returns:
        (2, C): means and variances, see :meth:`StyleNetwork.measure`.

    Raises:
        ModelError: The network produced NaN or infinity.
    """
    boxes = _parts(network, photo.size)
    rim = min(_RIM, (boxes[0][2] - boxes[0][0]) // 4)
    parts = network.measure(np.concatenate([to_float(photo.read(box)) for box in boxes]), rim=rim)
    side = max(photo.size) * math.sqrt(_COPY_PIXELS / math.prod(photo.size))
    copy = photo.shrunk(fit_size(photo.size, side, least=SMALLEST_SIDE))
    seen = to_float(read_whole(copy))
    scale = copy.size[0] / photo.size[0], copy.size[1] / photo.size[1]
    mask = np.zeros((1, 1, *seen.shape[2:]), np.float32)
    for left, top, right, bottom in boxes:
        rows = slice(round((top + rim) * scale[1]), round((bottom - rim) * scale[1]) + 1)
        mask[..., rows, round((left + rim) * scale[0]) : round((right - rim) * scale[0]) + 1] = 1
    whole, masked = network.measure(seen), network.measure(seen, mask=mask)
    widened = np.clip((whole[1] + _LEAST) / (masked[1] + _LEAST), 1 / _MOST_CHANGE, _MOST_CHANGE)
    moved = (whole[0] - masked[0]) * np.sqrt((parts[1] + _LEAST) / (masked[1] + _LEAST))
    statistics = np.stack([parts[0] + moved, parts[1] * widened])
    if not np.isfinite(statistics).all():
        raise ModelError(f"{network.contract.path} produced NaN or infinity", hint="Train the style again.")
    return statistics


def _parts(network: StyleNetwork, size: tuple[int, int]) -> list[Box]:
    """Return the parts of a picture of (width, height) px that are measured."""
    width, height = size
    count = max(1, _whole_pixels(network) // _PART**2)
    columns = max(1, min(round(math.sqrt(count * width / height)), width // _PART))
    rows = max(1, min(count // columns, height // _PART))
    side = min(_PART, width, height)
    random = np.random.default_rng(0)
    boxes = []
    for row in range(rows):
        for column in range(columns):
            free = width / columns - side, height / rows - side
            left = int(column * width / columns + random.uniform(0, 1) * free[0])
            top = int(row * height / rows + random.uniform(0, 1) * free[1])
            boxes.append((left, top, left + side, top + side))
    return boxes


def _around(inner: Box, margin: int, stride: int, size: tuple[int, int]) -> Box:
    """Return the input of a tile: larger by the margin, in whole cells of the network, within the picture."""
    left, top = (max(0, side - margin) // stride * stride for side in inner[:2])
    right, bottom = (
        min(whole, -(-(side + margin) // stride) * stride) for side, whole in zip(inner[2:], size, strict=True)
    )
    return left, top, right, bottom
