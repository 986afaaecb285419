"""Sharing work among copies of a command that know nothing of each other."""

import hashlib
import re
from dataclasses import dataclass

from fast_style.errors import InputError


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of the work; the default is all of it.

    What belongs to a share follows from its name alone: copies need not see the same list, and files that are added
    move no others to another share.
    """

    number: int = 1  # which share, from 1 on
    count: int = 1  # of how many

    def holds(self, name: str) -> bool:
        """Whether the result of that name belongs to this share."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        """As part of a file's name."""
        return f"{self.number}-of-{self.count}"


def parse_shard(text: str | None) -> Shard:
    """Parse ``3/64``; None is all of the work.

    Raises:
        InputError: It is not a share.
    """
    if text is None:
        return Shard()
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f"there is no shard {text}", hint="Give a number from 1 on and how many there are, as 3/64.")
    return Shard(number, count)
