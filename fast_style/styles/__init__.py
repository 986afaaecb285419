"""Which style: names, mixtures, cards, adapters."""

__all__: list[str] = []
