"""What a network is given besides the picture."""

from dataclasses import dataclass

Origin = tuple[int, int]


@dataclass(frozen=True)
class Condition:
    """What a network is given besides the picture: an argument of ``forward``, never state of a module.

    The default is a whole picture.

    Attributes:
        origin: Row and column, px, of a tile's top left corner in the whole picture, in which the noise lies still.
            Multiples of the network's stride.
        fine_origin: The same for the fine map of noise, which training moves separately; None is ``origin``.
    """

    origin: Origin = (0, 0)
    fine_origin: Origin | None = None
