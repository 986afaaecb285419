"""How the numbers in a video mean colors: matrix, range, primaries."""

from dataclasses import dataclass

from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

# Least height of HD, px. Without color information players assume BT.709 from this height on, BT.601 below it.
_HD_HEIGHT = 720
_MATRICES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601}
_MATRICES |= {7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
_CODES = {Colorspace.ITU709: 1, Colorspace.FCC: 4, Colorspace.ITU601: 6, Colorspace.SMPTE240M: 7, Colorspace.BT2020: 9}
_RGB_MATRIX = 0
# Of Rec. ITU-R BT.2020 and BT.2100, whose values mean other colors than those that a network has learned.
_WIDE_PRIMARIES = 9
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Colors:
    """How a video's YCbCr means RGB.

    Attributes:
        matrix: Matrix of YCbCr.
        full_range: 0 to 255, as in JPEG, instead of 16 to 235.
        primaries: ITU-T H.273 code of the primaries; 2 is unknown.
        transfer: H.273 code of the transfer characteristic; 2 is unknown.
    """

    matrix: Colorspace = Colorspace.ITU601
    full_range: bool = False
    primaries: int = 2
    transfer: int = 2

    @property
    def wide(self) -> str:
        """What the colors are called if they are wider or brighter than those of BT.709; else empty."""
        hdr = _HDR_TRANSFERS.get(self.transfer, "")
        return f"HDR ({hdr})" if hdr else "BT.2020" if self.primaries == _WIDE_PRIMARIES else ""

    @property
    def code(self) -> int:
        """H.273 code of the matrix."""
        return _CODES[self.matrix]


BT709 = Colors(Colorspace.ITU709, primaries=1, transfer=1)


def usual_matrix(height: int) -> Colorspace:
    """Matrix that players assume for a picture ``height`` px high if the file names none."""
    return Colorspace.ITU709 if height >= _HD_HEIGHT else Colorspace.ITU601


def colors_of(frame: VideoFrame) -> Colors:
    """Colors of a decoded frame: as the file declares them, else as players assume them."""
    guess = usual_matrix(frame.height)
    rgb = frame.format.is_rgb or int(frame.colorspace) == _RGB_MATRIX
    full = int(frame.color_range) == int(ColorRange.JPEG) or frame.format.name.startswith("yuvj")
    return Colors(
        matrix=guess if rgb else _MATRICES.get(int(frame.colorspace), guess),
        full_range=full and not rgb,
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
    )
