"""The one place where ONNX files are written: each names its producer and ends with its checksum."""

from __future__ import annotations

from pathlib import Path

import onnx

from fast_style.errors import ExportError
from fast_style.model import CHECKSUM_KEY, PRODUCER, add_checksum


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model that the ONNX checker takes, with a checksum of all that is in it.

    Args:
        model: It is not changed. A checksum that it carries from the file it was read from is replaced.
        path: Where to write; a failure may leave something there.

    Raises:
        ExportError: The checker refuses the model.
    """
    stamped = onnx.ModelProto()
    stamped.CopyFrom(model)
    stamped.producer_name = PRODUCER
    kept = [entry for entry in model.metadata_props if entry.key != CHECKSUM_KEY]
    del stamped.metadata_props[:]
    stamped.metadata_props.extend(kept)
    path.write_bytes(add_checksum(stamped.SerializeToString()))
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX checker refuses the exported graph: {error}") from error
