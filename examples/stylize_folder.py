"""Stylize a folder of photos and show how far it is: ``python examples/stylize_folder.py PHOTOS OUT [STYLE]``.

Needs ``pip install .`` in the clone. ``fast-style stylize PHOTOS -o OUT`` does the same with every core at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.progress import track

from fast_style import FastStyleError, Stylizer


def main(photos: Path, out: Path, style: str = "starry-night") -> list[Path]:
    """Stylize the photos of a folder into another one.

    Returns:
        The files that were written: ``cat.jpg.png`` for ``cat.jpg``, so that none takes another one's place.

    Raises:
        FastStyleError: Both are the same folder.
    """
    if out.resolve() == photos.resolve():
        raise FastStyleError(f"{out} holds the photos; give another folder for the pictures")
    stylizer = Stylizer(style)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for path in track(sorted(path for path in photos.iterdir() if path.is_file()), description=style):
        try:
            picture = stylizer(path, size=1600)
        except FastStyleError as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        written.append(out / f"{path.name}.png")
        picture.save(written[-1])
    return written


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit("usage: python examples/stylize_folder.py PHOTOS OUT [STYLE]")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except (FastStyleError, OSError) as error:
        sys.exit(f"error: {error}")
