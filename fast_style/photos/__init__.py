"""Files in, files out: photos and folders, alone, in shards or on Ray."""

__all__: list[str] = []
