"""The webcam: capture, window, recording."""

__all__: list[str] = []
