"""FFmpeg's filters for decoded frames."""

from collections.abc import Iterator
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYet
from av.error import EOFError as AtEnd
from av.filter import Graph


class FrameFilter:
    """A chain of filters through which the frames of a film go, in order.

    Args:
        steps: Names of filters, and their options.
        time_base: Unit of the frames' times, seconds; it stays theirs.
    """

    def __init__(self, *steps: tuple[str, str], time_base: Fraction) -> None:
        self._steps, self._time_base = steps, time_base
        self._graph: Graph | None = None
        self._takes: tuple[object, ...] = ()

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Give the next frame; yield those that are done, which may be earlier ones, or none."""
        takes = frame.width, frame.height, frame.format.name
        if takes != self._takes:
            yield from self.flush()
            self._graph, self._takes = self._build(frame), takes
        assert self._graph is not None
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the frames that wait for later ones."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
        self._graph, self._takes = None, ()

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        first = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base)
        settb = ("settb", str(self._time_base))  # filters may count in another unit
        graph.link_nodes(first, *(graph.add(*step) for step in (*self._steps, settb, ("buffersink", ""))))
        graph.configure()
        return graph

    def _pull(self) -> Iterator[VideoFrame]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (NotYet, AtEnd):
                return
            assert isinstance(frame, VideoFrame)
            yield frame
