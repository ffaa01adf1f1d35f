"""The UIDs that the objects of a run had before: of studies, series, instances and frames of reference.

Whatever element names one of them refers to an object of the run. A million UIDs are a set of 8 MB, small enough to
travel to every worker, also on a cluster.

Public names: ``OriginalUids``, ``WELL_KNOWN``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGEST_BYTES: Final = 8
"""Of a million UIDs and as many questions, one is answered wrongly in ten million runs; a stranger is mapped then."""

WELL_KNOWN: Final = "1.2.840.10008."
"""Root of the UIDs that the standard itself assigns (PS3.6 annex A): classes, transfer syntaxes, and more."""


class OriginalUids:
    """A set of UIDs that travels between processes; it knows members again but cannot list them."""

    __slots__ = ("_digests",)

    def __init__(self, uids: Iterable[str] = ()) -> None:
        """Take UIDs without padding, in any order; those of the standard and empty ones are left out."""
        digests = array("Q", (_digest(uid) for uid in uids if uid and not uid.startswith(WELL_KNOWN)))
        self._digests = array("Q", np.unique(np.frombuffer(digests, "u8")).tobytes()) if digests else digests

    def __contains__(self, uid: str) -> bool:
        """Whether the UID, without padding, is one of them."""
        if not self._digests or uid.startswith(WELL_KNOWN):
            return False
        digest = _digest(uid)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._digests)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as the bare numbers."""
        return type(self).of_digests, (self._digests.tobytes(),)

    @classmethod
    def of_digests(cls, digests: bytes) -> Self:
        """Return a set from what ``__reduce__`` gave."""
        made = cls()
        made._digests = array("Q", digests)
        return made


def _digest(uid: str) -> int:
    data = uid.encode("latin-1", "replace")
    return int.from_bytes(blake2b(data, digest_size=_DIGEST_BYTES).digest(), "little")
