"""The studio: a page on this machine in which styles are made, tried and kept."""

from fast_style.studio.library import Library
from fast_style.studio.runs import Trainings, Wish
from fast_style.studio.server import open_studio

__all__ = ["Library", "Trainings", "Wish", "open_studio"]
