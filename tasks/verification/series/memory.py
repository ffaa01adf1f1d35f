"""What the instances of a series have in common, verified once.

Most of a file is the same bytes in all instances of its series, and what became of it is the same bytes in all results.
What was found of these bytes in one instance that was judged in full is found in all. So of instances that were found
right a template is made: the bytes that source and result share with others, and the values between them (slots), each
with what it is judged by. The next instance is compared with it: a comparison of memory. Its slots are judged as ever,
what identifies it is searched for everywhere, and what identifies all of them in its slots. Where anything is otherwise
than in the template, or not certain, the instance is judged in full: a template never says that something is wrong.

Nothing is guessed: whether a template speaks makes no difference to any verdict
(tests/verification/test_series_memory.py).

Public names: ``SeriesMemory``, ``Judging``, ``Files``, ``MAX_BYTES``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import SOP_INSTANCE_UID
from deidflow.tasks.verification.comparison import COMPRESSED
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.identifiers import spells
from deidflow.tasks.verification.leaks.regions import PIXELS
from deidflow.tasks.verification.leaks.segments import has_more_than_frames
from deidflow.tasks.verification.series.layout import leaves_of, make_layout
from deidflow.tasks.verification.series.server_slots import ReferenceJudge, make_reference_judge, pair_references
from deidflow.tasks.verification.series.shared_search import make_shared_search
from deidflow.tasks.verification.series.slots import (
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    Side,
    SlotJudge,
    may_differ,
    of_one_length,
    pairs_of,
    slots_with_values,
)
from deidflow.tasks.verification.standard.required import required

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.comparison import Judged
    from deidflow.tasks.verification.leaks.search import LeakSearch
    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Read
    from deidflow.tasks.verification.series.layout import Cut, Layout, Leaf, Sample
    from deidflow.tasks.verification.series.shared_search import SharedSearch

MAX_BYTES: Final = 8 << 20
"""Of a file that is compared in memory; with larger ones the work lies in their bytes."""

_MAX_SERIES: Final = 16
_MAX_SHAPES: Final = 4
"""Different lists of elements within one series, such as a localizer among slices."""
_MAX_LISTS: Final = 64
"""Lists of elements that are kept, whatever series have them."""
_MAX_LEAVES: Final = 2000
_MAX_HEADER_BYTES: Final = 1 << 20
_GROUP_LENGTH: Final = 0x00020000
_ALWAYS: Final = frozenset({SOP_INSTANCE_UID, MEDIA_STORAGE_SOP_INSTANCE_UID, _GROUP_LENGTH, *PIXELS})

_Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judging:
    """By what instances are judged, which is the same for all of a group.

    Attributes:
        name: One text for all equal requests, see ``Request.canonical``.
        request: Theirs.
        permitted: What it permits.
        uids: Of the run; None where none are mapped.
        search: For leaks; None where none are looked for.
        written_by_server: Whether a server wrote the results, so that no bytes are compared.
        call: Another number for other UIDs.
        deciding: Elements, and sequences with all that is in them, by which it is decided on pixels.
        asks_iod: Whether results must have what their IOD asks for.

    """

    name: str
    request: Request
    permitted: Permitted
    uids: Uids | None
    search: LeakSearch | None
    written_by_server: bool = False
    call: int = 0
    deciding: frozenset[int] = frozenset()
    asks_iod: bool = False


class Files(NamedTuple):
    """The bytes of a source and of its result."""

    source: bytes
    result: bytes


@dataclass(frozen=True, slots=True)
class _Template:
    """See the module.

    Attributes:
        source: What sources have in common.
        result: What results have in common.
        uid_slots: Of the results, which hold the SOPInstanceUID.
        value_slots: Of the results, which must have a value.
        meta_slots: Those of the group's length and of the UID that it encloses, with what else it encloses; None for no
            such slots.
        slots: Judges them.
        search: For leaks; None where none are looked for.

    """

    source: Layout
    result: Layout
    uid_slots: tuple[int, ...]
    value_slots: tuple[int, ...]
    meta_slots: tuple[int, int, int] | None
    slots: SlotJudge | ReferenceJudge
    search: SharedSearch | None

    def is_right(self, instance: PlannedInstance, files: Files) -> bool:
        """Whether an instance is certainly right."""
        source = self.source.cut(files.source)
        result = self.result.cut(files.result) if source is not None else None
        if source is None or result is None:
            return False
        for number in self.uid_slots:
            start, end = result.slots[number]
            if not spells(result.data[start:end], instance.new.sop_instance_uid):
                return False
        if any(result.slots[number][0] == result.slots[number][1] for number in self.value_slots):
            return False
        if self.meta_slots is not None and not _has_true_length(result, *self.meta_slots):
            return False
        if not self.slots.finds_nothing(source, result):
            return False
        return self.search is None or self.search.finds_nothing(instance, source, result)


@dataclass(slots=True)
class _Shape:
    """Instances of one series with the same elements.

    Attributes:
        values: Of one of them, source and result.
        differing: Which elements differ.
        met: How many of them were judged in full.
        template: None until there are enough of them, or where none can be made.

    """

    values: tuple[dict[_Path, bytes], dict[_Path, bytes]]
    differing: tuple[set[_Path], set[_Path]]
    met: int = 1
    template: _Template | None = None


@dataclass(slots=True, eq=False)
class _Elements:
    """A list of elements of source and result, whatever series has it; a key that stands for all of them.

    Attributes:
        differing: Which of them differed within the series that have it; None until two of one were compared.

    """

    differing: tuple[set[_Path], set[_Path]] | None = None


class SeriesMemory:
    """The memory of one process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._series: OrderedDict[object, dict[object, _Shape]] = OrderedDict()
        self._lists: dict[object, _Elements] = {}

    def is_right(self, judging: Judging, instance: PlannedInstance, files: Files) -> bool:
        """Whether an instance is certainly right by what is remembered of its series.

        Args:
            judging: By what it is judged.
            instance: What was planned.
            files: Source and result.

        """
        shapes = self._series.get(_series_of(judging, instance))
        if shapes is None:
            return False
        for place, (key, shape) in enumerate(reversed(shapes.items())):
            if shape.template is not None and shape.template.is_right(instance, files):
                if place:  # as seldom as can be: a key is all elements of two files
                    shapes[key] = shapes.pop(key)
                return True
        return False

    def learn(
        self,
        judging: Judging,
        instance: PlannedInstance,
        files: Files,
        reads: tuple[Read, Read],
        judgements: list[Judged],
    ) -> None:
        """Take note of an instance that was judged in full and found right, as far as others can be compared with it.

        Args:
            judging: By what it was judged.
            instance: What was planned.
            files: Source and result.
            reads: Likewise, read to their ends.
            judgements: Of its elements, by what ``judging`` permits; none where a server wrote the result.

        """
        if judging.permitted.recodes or not all(map(_is_plain, reads)) or self.is_right(judging, instance, files):
            return  # there is nothing to learn
        source, result = (leaves_of(read) for read in reads)
        if source is None or result is None or max(len(source), len(result)) > _MAX_LEAVES:
            return
        sides = (source, result)
        values = tuple(_values(side, data) for side, data in zip(sides, files, strict=True))
        if sum(sum(map(len, side.values())) for side in values) > _MAX_HEADER_BYTES:
            return
        elements = self._elements(tuple((leaf.path, leaf.element[1], leaf.is_meta) for side in sides for leaf in side))
        sequences = tuple(
            end - start for read in reads for _, _, start, end, items in read.elements if items is not None
        )
        shape = self._shape(judging, instance, (elements, sequences), (values[0], values[1]))
        if shape.met > 1 and shape.template is not None and not self._has_learnt(shape, values, elements):
            return
        self._has_learnt(shape, values, elements)
        if shape.met > 1 and shape.met & (shape.met - 1):
            return  # each new template costs more than an instance: ever more seldom where instances go on to differ
        if shape.met > 1 or elements.differing is not None:
            shape.template = _make_template(
                judging, instance, files, reads, judgements, (source, result), shape.differing
            )

    def _elements(self, listed: object) -> _Elements:
        found = self._lists.get(listed)
        if found is None:
            if len(self._lists) >= _MAX_LISTS:
                del self._lists[next(iter(self._lists))]
            found = self._lists[listed] = _Elements()
        return found

    def _shape(
        self,
        judging: Judging,
        instance: PlannedInstance,
        key: tuple[_Elements, object],
        values: tuple[dict[_Path, bytes], dict[_Path, bytes]],
    ) -> _Shape:
        name = _series_of(judging, instance)
        shapes = self._series.setdefault(name, {})
        self._series.move_to_end(name)
        if len(self._series) > _MAX_SERIES:
            self._series.popitem(last=False)
        shape = shapes.get(key)
        if shape is not None:
            shape.met += 1
        else:
            known = key[0].differing or ((), ())
            shape = shapes[key] = _Shape(values, (set(known[0]), set(known[1])))
            if len(shapes) > _MAX_SHAPES:
                del shapes[next(iter(shapes))]
        return shape

    def _has_learnt(self, shape: _Shape, values: tuple[dict[_Path, bytes], ...], elements: _Elements) -> bool:
        """Compare an instance with another one of its shape; return whether more elements differ than was known."""
        before = sum(map(len, shape.differing))
        for differing, one, other in zip(shape.differing, shape.values, values, strict=True):
            differing.update(path for path, value in other.items() if one[path] != value)
        if shape.met > 1:
            elements.differing = known = elements.differing or (set(), set())
            for differing, of_all in zip(shape.differing, known, strict=True):
                of_all.update(differing)
        return sum(map(len, shape.differing)) > before


def _series_of(judging: Judging, instance: PlannedInstance) -> object:
    """Return all that a verdict depends on beside the files and the instance's own UIDs."""
    return judging.name, judging.call, instance.original[:3], instance.new[:3]


def _is_plain(read: Read) -> bool:
    """Whether a file was read without any fault, little endian, and as its bytes stand there."""
    is_read = read.is_whole and not read.fault and not read.passed_over
    return is_read and read.little and read.start > 0 and bool(read.elements)


def _values(leaves: list[Leaf], data: bytes) -> dict[_Path, bytes]:
    """Return the values of all but pixels, which always differ."""
    return {
        leaf.path: data[leaf.element[2] : leaf.element[3]]
        for leaf in leaves
        if leaf.tag not in _ALWAYS or leaf.is_nested
    }


def _make_template(
    judging: Judging,
    instance: PlannedInstance,
    files: Files,
    reads: tuple[Read, Read],
    judgements: list[Judged],
    leaves: tuple[list[Leaf], list[Leaf]],
    differing: tuple[set[_Path], set[_Path]],
) -> _Template | None:
    """Make a template from an instance that was found right; None where too much depends on what differs."""
    permitted, request = judging.permitted, judging.request
    before, after = (
        Side(side, [leaf for leaf in side if leaf.path in paths or (leaf.tag in _ALWAYS and not leaf.is_nested)])
        for side, paths in zip(leaves, differing, strict=True)
    )
    pairs: list[Judged] | None
    if judging.written_by_server:
        pairs = [] if pair_references(request, before, after) else None
    else:
        pairs = pairs_of(judgements, reads[1], before, after)
    may_all = all(may_differ(leaf, request, permitted, in_result=False) for leaf in before.slots.values()) and all(
        may_differ(leaf, request, permitted, in_result=True) for leaf in after.slots.values()
    )
    decides = any(
        not judging.deciding.isdisjoint(leaf.path[::2]) for side in (before, after) for leaf in side.slots.values()
    )
    is_compressed = reads[0].syntax.startswith(COMPRESSED)
    # What becomes blank behind frames is not judged by comparing.
    is_more = not is_compressed and any(
        has_more_than_frames(reads[0], one.element) for one in judgements if one.fate is Fate.FRAMES
    )
    if pairs is None or not may_all or decides or is_more:
        return None
    fixed = of_one_length(judgements, permitted, is_compressed=is_compressed)
    source = make_layout(reads[0], files.source, before.slots.values(), fixed)
    result = make_layout(reads[1], files.result, after.slots.values())
    if source is None or result is None:
        return None
    named = [slot.leaf.tag for slot in result.slots if not slot.leaf.is_nested]
    if SOP_INSTANCE_UID not in named or len(PIXELS.intersection(named)) > 1:
        return None
    uids = (SOP_INSTANCE_UID, MEDIA_STORAGE_SOP_INSTANCE_UID)
    uid_slots = tuple(
        number for number, slot in enumerate(result.slots) if slot.leaf.tag in uids and not slot.leaf.is_nested
    )
    search = None
    if judging.search is not None:
        search = make_shared_search(judging.search, request, instance, source, result, judging.uids)
        if search is None:
            return None
    slots: SlotJudge | ReferenceJudge | None = (
        make_reference_judge(source, result, judging.uids)
        if judging.written_by_server
        else SlotJudge(pairs, judgements, source, result, permitted, judging.uids)
    )
    value_slots = slots_with_values(required(request, *reads) if judging.asks_iod else (), source, result)
    if slots is None or value_slots is None:
        return None
    meta_slots = _meta_slots(result, files.result)
    return _Template(source.layout, result.layout, uid_slots, value_slots, meta_slots, slots, search)


def _meta_slots(result: Sample, data: bytes) -> tuple[int, int, int] | None:
    """Return the slots of the length of the file meta information and of its UID, and how long all else of it is."""
    found = {slot.leaf.tag: number for number, slot in enumerate(result.slots) if slot.leaf.is_meta}
    length, uid = found.get(_GROUP_LENGTH), found.get(MEDIA_STORAGE_SOP_INSTANCE_UID)
    if length is None or uid is None:
        return None
    whole, inner = result.slots[length], result.slots[uid]
    return length, uid, int.from_bytes(data[whole.start : whole.end], "little") - (inner.end - inner.start)


def _has_true_length(result: Cut, length: int, uid: int, others: int) -> bool:
    """Whether the file meta information says how long it is."""
    start, end = result.slots[uid]
    return int.from_bytes(result.data[slice(*result.slots[length])], "little") == others + end - start
