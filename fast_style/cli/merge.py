"""``fast-style merge``."""

from fast_style.cli.app import Flag, Out
from fast_style.styles.card import check_places
from fast_style.styles.merge import merge_styles
from fast_style.styles.mixture import find_mixture


def merge(*styles: str, out: Out, force: Flag = False) -> None:
    """Put several styles of one network into one file, proved equal to each of them.

    The file takes weights for its styles. Its card is written beside it.

    Args:
        styles: Shipped names, ONNX files, FILE#STYLE for one of several in a file, and STYLE+MINE.safetensors.
        out: The ONNX file.
        force: Overwrite an existing file.
    """
    check_places(out, force=force, inputs=[find_mixture(style).style.path for style in styles])
    names, difference = merge_styles(list(styles), out)
    print(f"{out}  {', '.join(names)}; equal to each within {difference:.1e}")
