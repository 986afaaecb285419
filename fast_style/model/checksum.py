"""A checksum at the end of each ONNX file of ours, so that a damaged one is refused and never run."""

import hashlib
from pathlib import Path

from fast_style.errors import ModelError, damaged_model

PRODUCER = "fast-style"
CHECKSUM_KEY = "content_sha256"

# A style is about 2 MB; Johnson's network 7 MB. Anything this large is something else.
MAX_MODEL_BYTES = 256 * 2**20
# ModelProto's field 14, metadata_props, in protobuf's wire format; the 64 digits follow. What is appended to a
# message's bytes is parsed as one more entry of a repeated field, so every reader of ONNX takes it.
_ENTRY = b"\x72\x52\x0a\x0e" + CHECKSUM_KEY.encode() + b"\x12\x40"
_ENTRY_BYTES = len(_ENTRY) + 64
# ModelProto's field 2, producer_name. It stands at the other end of the file, so that damage to the entry is seen.
_MARK = b"\x12\x0a" + PRODUCER.encode()
_MARK_WITHIN = 32


def add_checksum(content: bytes) -> bytes:
    """Append the SHA-256 of a serialized model that names us as its producer, as a last entry of its metadata."""
    assert _MARK in content[:_MARK_WITHIN]
    return content + _ENTRY + hashlib.sha256(content).hexdigest().encode()


def read_checked(path: Path) -> bytes:
    """Read an ONNX file. One with our checksum must agree with it; files without one are taken as they are.

    Raises:
        ModelError: The file cannot be read, is far too large, or has changed since it was exported.
    """
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(f"{path} has {size >> 20} MiB; a style has a few")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    entry, digest = content[-_ENTRY_BYTES:-64], content[-64:]
    if entry == _ENTRY or _MARK in content[:_MARK_WITHIN]:
        actual = hashlib.sha256(memoryview(content)[:-_ENTRY_BYTES]).hexdigest().encode()
        if entry != _ENTRY or actual != digest:
            raise damaged_model(f"{path} is damaged: its content does not match its checksum")
    return content
