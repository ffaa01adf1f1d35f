"""What a scan notes about a dataset that is not written as the standard has it, or that can be read in another way.

Public names: ``Findings``, ``Irregularity``, ``Reading``, ``Doubt``, ``MAX_ELEMENTS``,
``MAX_IN_ONE_DATASET``, ``element_limit``, ``spells_vr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding

MAX_ELEMENTS: Final = 1 << 20
"""Elements and items of one file: each takes a few hundred bytes of memory. Those of ten thousand frames are fewer."""

MAX_IN_ONE_DATASET: Final = 1 << 16
"""Elements at the top level, or in one item: the standard defines some 5,000, no tag stands twice, and the private ones
of real objects are hundreds."""

_MIN_ELEMENTS: Final = 1 << 16
_MAX_ELEMENTS_FOR_EACH_BYTE: Final = 2
"""Deflated elements of real objects take a byte or more each; those of a bomb a hundredth."""

_FOREIGN_GROUPS: Final = frozenset({0x0000, 0x0002})
_BEHIND_FOREIGN: Final = 0x00030000
_VR_BYTES: Final = 2


class Irregularity(Enum):
    """What is written anew before an edit, so that all readers read the same in the result (``regular``)."""

    UNKNOWN_VR = auto()
    """An element whose VR is none."""
    EXPLICIT_ITEMS = auto()
    """A sequence sent as UN whose items are explicit VR (PS3.5 6.2.2 note 2 has implicit)."""
    OPAQUE = auto()
    """A value where a sequence belongs, or that begins like one, and is none."""
    DELIMITER = auto()
    """A delimiter at the end of something of defined length, or one with a length."""
    FOREIGN = auto()
    """An element of a command or of file meta information (groups 0000, 0002) inside a dataset."""


class Reading(Enum):
    """How another reader goes through elements."""

    AS_PYDICOM = auto()
    """Explicit VR; elements whose VR is no two capitals are implicit, unknown capitals have a 16-bit length."""
    AS_DCMTK = auto()
    """Explicit VR; elements whose VR is no two capitals have a 16-bit length, unknown capitals one of 32."""
    IMPLICIT = auto()
    """Implicit VR throughout."""
    SWITCHED = auto()
    """pydicom takes the whole dataset or item for explicit VR, since its first length spells a VR: a wrong reading for
    certain, also of any result, whatever it comes to."""


class Doubt(NamedTuple):
    """A place from where a dataset may be read in another way.

    Attributes:
        start: Offset of an element, which both readings begin with.
        little: Byte order of the other reading.
        reading: How it goes on.

    """

    start: int
    little: bool
    reading: Reading


@dataclass(slots=True)
class Findings:
    """What is known about one dataset.

    Attributes:
        irregular: By offset of the element or delimiter.
        doubts: Each one once, in the order in which they were met.
        has_fragments: Whether pixel data at any depth is encapsulated.
        limit: How many elements and items the file may have, see ``element_limit``.
        count: Elements and items so far.
        retried: Bytes that had to be read again, in another encoding.

    """

    irregular: dict[int, Irregularity] = field(default_factory=dict)
    doubts: dict[Doubt, None] = field(default_factory=dict)
    has_fragments: bool = False
    limit: int = MAX_ELEMENTS
    count: int = 0
    retried: int = 0

    def note(self, start: int, irregularity: Irregularity) -> None:
        """Note what stands at an offset."""
        self.irregular[start] = irregularity

    def note_foreign(self, elements: list[Element], base: int) -> None:
        """Note what belongs into no dataset (PS3.7 annex E, PS3.10 section 7.1; DCMTK writes none of it either).

        Args:
            elements: Of a dataset or an item.
            base: What their offsets are relative to.

        """
        if elements and min(elements)[0] < _BEHIND_FOREIGN:  # nearly never, and quicker told than by a loop
            for tag, _, start, *_ in elements:
                if tag >> 16 in _FOREIGN_GROUPS:
                    self.note(base + start, Irregularity.FOREIGN)

    def doubt(self, start: int, encoding: Encoding, *readings: Reading) -> None:
        """Note other readings of the elements from an offset on."""
        for reading in readings:
            self.doubts[Doubt(start, encoding.little, reading)] = None

    def doubt_items(self, items: Iterable[tuple[int, bytes]], *, explicit: bool) -> None:
        """Note how else the items of a sequence sent as UN can be read: pydicom looks at each, DCMTK at none.

        Args:
            items: Offset of the content of each, and what stands there where a VR would.
            explicit: How they are read here.

        """
        for start, raw_vr in items:
            if explicit:
                self.doubts[Doubt(start, little=True, reading=Reading.IMPLICIT)] = None
            elif spells_vr(raw_vr):
                self.doubts[Doubt(start, little=True, reading=Reading.SWITCHED)] = None

    def copy(self) -> tuple[int, int, bool, int]:
        """Return what ``restore`` needs."""
        return len(self.irregular), len(self.doubts), self.has_fragments, self.count

    def restore(self, before: tuple[int, int, bool, int]) -> None:
        """Forget what was noted since: it belonged to a reading that came to nothing."""
        irregular, doubts, self.has_fragments, self.count = before
        while len(self.irregular) > irregular:
            self.irregular.popitem()
        while len(self.doubts) > doubts:
            self.doubts.popitem()


def element_limit(file_bytes: int) -> int:
    """Return how many elements and items a file of so many bytes may have: a small one must not fill the memory.

    >>> element_limit(35_000), element_limit(1 << 30) == MAX_ELEMENTS
    (70000, True)
    """
    return min(MAX_ELEMENTS, max(_MIN_ELEMENTS, _MAX_ELEMENTS_FOR_EACH_BYTE * file_bytes))


def spells_vr(raw: bytes) -> bool:
    """Whether two bytes could be a VR of some edition: two capitals, which is all that pydicom looks at.

    >>> spells_vr(b"ZZ"), spells_vr(b"--")
    (True, False)
    """
    return len(raw) == _VR_BYTES and raw.isalpha() and raw.isupper() and raw.isascii()
