"""Lists of photos as CSV: what to stylize, and what became of it."""

import csv
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from fast_style.errors import InputError
from fast_style.files import make_parent, replacing
from fast_style.photos.shards import Shard

COLUMNS = ("in", "out")


@dataclass(frozen=True)
class Row:
    """One photo of a manifest."""

    source: str  # where the photo is, as the manifest says it
    target: str  # where its result goes, likewise
    error: str = ""  # why the row cannot be heeded; empty if it can


Outcome = Literal["done", "failed", "left"]


@dataclass(frozen=True)
class Status:
    """What became of a row."""

    source: str  # column `in`
    target: str  # column `out`
    status: Outcome  # `done`, `failed`, or `left` to do
    error: str = ""  # why it failed, and what to do about it
    seconds: float = 0.0  # how long it took
    skipped: bool = False  # It was done before. No column.
    left_out: Mapping[str, int] = field(default_factory=dict)  # What the result lacks, by reason. No column.


def read_rows(manifest: Path, shard: Shard = Shard()) -> Iterator[Row]:
    """Read the rows of a share, one after the other.

    A row whose result another row has already claimed gets an error, since the share that holds a result holds every
    row that claims it. So does a row whose result is the photo of any row, in this share or another. The manifest is a
    CSV file with the columns ``in`` and ``out``; others are ignored.

    Raises:
        InputError: The manifest cannot be read, has other columns, or no rows.
    """

    @cache
    def folder(path: str) -> str:
        try:
            return os.path.realpath(manifest.parent / path)
        except ValueError:  # a name that none can have
            return path

    def place(path: str) -> str:
        return posixpath.join(folder(posixpath.dirname(path)), posixpath.basename(path))

    photos = {place(source) for source, _ in _pairs(manifest) if source}
    claimed: dict[str, int] = {}
    number = 0
    for number, (source, target) in enumerate(_pairs(manifest), start=1):
        target = posixpath.normpath(target) if target else ""
        error = ""
        if not source or not target:
            missing = " and ".join(name for name, value in zip(COLUMNS, (source, target), strict=True) if not value)
            error = f"row {number} has no {missing}. Fill it in."
        elif (found := place(target)) in photos:
            what = "its own photo" if found == place(source) else "a photo that the list names"
            error = f"row {number} would be written over {what}. Give another out."
        elif (other := claimed.setdefault(found, number)) != number:
            error = f"rows {other} and {number} both go to {target}. Give each an out of its own."
        if shard.holds(target):
            yield Row(source, target, error)
    if not number:
        raise InputError(f"{manifest} has no rows", hint="Each row is a photo and where its result goes.")


def write_status(path: Path, statuses: Iterable[Status]) -> Counter[str]:
    """Write what became of rows as CSV, whole; return how many have each status.

    Raises:
        FileError: It cannot be written.
    """
    counts: Counter[str] = Counter()
    make_parent(path)
    # Names of photos need not be text: such a name is written as its own bytes.
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file)
        table.writerow([*COLUMNS, "status", "error", "seconds"])
        for row in statuses:
            counts[row.status] += 1
            table.writerow([row.source, row.target, row.status, row.error, row.seconds])
    return counts


def _pairs(manifest: Path) -> Iterator[tuple[str, str]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            columns = table.fieldnames or []
            if not set(COLUMNS) <= set(columns):
                told = ", ".join(columns[:8])
                others = set(told) & {";", "\t"}  # in place of commas
                remedy = "Separate columns by commas" if others else "Name the columns in the first line"
                raise InputError(
                    f"{manifest} has the columns {told or 'none'}; expected in and out", hint=f"{remedy}: in,out."
                )
            for row in table:
                yield row["in"] or "", row["out"] or ""
    except OSError as error:
        raise InputError(f"cannot read {manifest}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest} is not UTF-8 text", hint="Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{manifest}, line {table.line_num}: {error}", hint="It is not CSV there.") from error
