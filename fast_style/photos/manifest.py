"""Lists of photos as CSV or Parquet: what to stylize, and what became of it."""

from __future__ import annotations

import csv
import io
import itertools
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, Literal

from fast_style.errors import InputError
from fast_style.files import replacing
from fast_style.photos import places
from fast_style.photos.shards import Shard

COLUMNS = ("in", "out")
SUFFIXES = (".csv", ".parquet")
_HINT = "The first line of a CSV file names its columns: in,out."


@dataclass(frozen=True)
class Row:
    """One photo of a manifest.

    Attributes:
        source: Where the photo is, as the manifest says it.
        target: Where its result goes, likewise.
        error: Why the row cannot be heeded; empty if it can.
    """

    source: str
    target: str
    error: str = ""


Outcome = Literal["done", "failed", "left"]


@dataclass(frozen=True)
class Status:
    """What became of a row.

    Attributes:
        source: Column ``in``.
        target: Column ``out``.
        status: ``done``, ``failed``, or ``left`` to do.
        error: Why it failed, and what to do about it.
        seconds: How long it took.
        skipped: It was done before. No column.
    """

    source: str
    target: str
    status: Outcome
    error: str = ""
    seconds: float = 0.0
    skipped: bool = False


def read_rows(manifest: str, shard: Shard = Shard()) -> Iterator[Row]:
    """Read the rows of a share, one after the other.

    A row whose result another row has already claimed gets an error, since the share that holds a result holds every
    row that claims it.

    Args:
        manifest: A path or an address of a CSV or Parquet file with the columns ``in`` and ``out``.
        shard: The share.

    Raises:
        InputError: The manifest cannot be read, has other columns, or no rows.
    """
    claimed: dict[str, int] = {}
    number = 0
    for number, (source, target) in enumerate(_pairs(manifest), start=1):
        target = target if places.is_remote(target) else posixpath.normpath(target) if target else ""
        if not shard.holds(target):
            continue
        if not source or not target:
            missing = " and ".join(name for name, value in zip(COLUMNS, (source, target), strict=True) if not value)
            yield Row(source, target, f"row {number} has no {missing}. Fill it in.")
        elif target in claimed:
            yield Row(
                source, target, f"rows {claimed[target]} and {number} both go to {target}. Give each an out of its own."
            )
        else:
            claimed[target] = number
            yield Row(source, target)
    if not number:
        raise InputError(f"{manifest} has no rows", hint="Each row is a photo and where its result goes.")


def write_status(address: str, statuses: Iterable[Status]) -> None:
    """Write what became of rows as CSV or Parquet, whole.

    Raises:
        FileError: It cannot be written.
    """
    names = [{"source": "in", "target": "out"}.get(field.name, field.name) for field in fields(Status)][:-1]
    with ExitStack() as stack:
        target = stack.enter_context(places.delivered(address))
        partial = stack.enter_context(replacing(target))
        values = (astuple(status)[:-1] for status in statuses)
        if address.endswith(".parquet"):
            import pyarrow
            import pyarrow.parquet

            kinds = [pyarrow.string()] * 4 + [pyarrow.float64()]
            schema = pyarrow.schema(list(zip(names, kinds, strict=True)))
            with pyarrow.parquet.ParquetWriter(partial, schema) as writer:
                while some := list(itertools.islice(values, 10_000)):
                    columns = [list(column) for column in zip(*some, strict=True)]
                    writer.write_table(pyarrow.table(columns, schema=schema))
        else:
            with partial.open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file)
                table.writerow(names)
                table.writerows(values)


def check_manifest(manifest: str) -> str:
    """Return its suffix.

    Raises:
        InputError: It is neither CSV nor Parquet.
    """
    suffix = Path(manifest).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{manifest} is not a .csv or .parquet file", hint="Give a list of photos with in and out.")
    return suffix


def _pairs(manifest: str) -> Iterator[tuple[str, str]]:
    suffix = check_manifest(manifest)
    with places.reading(manifest) as file:
        yield from _csv_pairs(manifest, file) if suffix == ".csv" else _parquet_pairs(manifest, file)


def _csv_pairs(manifest: str, file: IO[bytes]) -> Iterator[tuple[str, str]]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        table = csv.DictReader(text, strict=True)
        try:
            _check_columns(manifest, table.fieldnames or [])
            for row in table:
                yield row["in"] or "", row["out"] or ""
        except UnicodeDecodeError as error:
            raise InputError(f"{manifest} is not UTF-8 text", hint="Save it as UTF-8, or as Parquet.") from error
        except csv.Error as error:
            raise InputError(f"{manifest}, line {table.line_num}: {error}", hint="It is not CSV there.") from error


def _parquet_pairs(manifest: str, file: IO[bytes]) -> Iterator[tuple[str, str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        _check_columns(manifest, table.schema_arrow.names)
        for batch in table.iter_batches(columns=list(COLUMNS)):
            sources, targets = (batch.column(name).to_pylist() for name in COLUMNS)
            for source, target in zip(sources, targets, strict=True):
                yield "" if source is None else str(source), "" if target is None else str(target)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{manifest} cannot be read as Parquet: {error}") from error


def _check_columns(manifest: str, names: Iterable[str]) -> None:
    found = list(names)
    if not set(COLUMNS) <= set(found):
        listed = ", ".join(map(str, found[:8])) or "none"
        raise InputError(f"{manifest} has the columns {listed}; expected in and out", hint=_HINT)
