"""Pictures on disk and in memory: the one place where their bytes become a network's floats, and back."""

from fast_style.images.animation import ANIMATED, save_frames
from fast_style.images.arrays import (
    LUMA,
    Picture,
    Pixels,
    Planes,
    channels,
    fit,
    fit_size,
    float_to_planes,
    mix,
    planes_to_float,
    resize,
    to_float,
    to_uint8,
)
from fast_style.images.exif import add_exif
from fast_style.images.find import HEIC_SUFFIXES, SUFFIXES, Search, check_photos, find_images, find_photos, search
from fast_style.images.load import MAX_PIXELS, Header, load_exif, load_frames, load_image, read_header
from fast_style.images.save import WRITABLE_SUFFIXES, check_size, check_target, format_of, save_image

__all__ = [
    "ANIMATED",
    "HEIC_SUFFIXES",
    "LUMA",
    "MAX_PIXELS",
    "SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Header",
    "Picture",
    "Pixels",
    "Planes",
    "Search",
    "add_exif",
    "channels",
    "check_photos",
    "check_size",
    "check_target",
    "find_images",
    "find_photos",
    "fit",
    "fit_size",
    "float_to_planes",
    "format_of",
    "load_exif",
    "load_frames",
    "load_image",
    "mix",
    "planes_to_float",
    "read_header",
    "resize",
    "save_frames",
    "save_image",
    "search",
    "to_float",
    "to_uint8",
]
