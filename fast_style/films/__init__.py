"""Reading, stylizing and writing videos."""

__all__: list[str] = []
