"""The terms of the loss, a class or a few a file."""

__all__: list[str] = []
