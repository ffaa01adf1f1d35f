"""What a request means for the search, and which hits in a result are leaks.

Public names: ``Scope``, ``scope_of``, ``Judge``, ``is_kept_uid``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import keyword_for_tag

from deidflow.tasks.core.dicom.tags import IDENTIFIERS, PATIENT_ID, describe_tag
from deidflow.tasks.core.request.data_uris import parse_embedded
from deidflow.tasks.core.request.edits import Edits
from deidflow.tasks.core.request.profile_choice import TextChoice
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of, words_in
from deidflow.tasks.verification.leaks.common_words import fold
from deidflow.tasks.verification.leaks.hits import Hit, is_left
from deidflow.tasks.verification.leaks.identifying import Identifying, Treated, text_of
from deidflow.tasks.verification.leaks.kept import KeptPlaces, in_any_block, kept_places
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.letters import canonical, two_letters
from deidflow.tasks.verification.leaks.patterns import FOLDED, Found, Patterns
from deidflow.tasks.verification.leaks.regions import Leaf, Region, leaf_at, leaves_of
from deidflow.tasks.verification.permitted import permitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.dicom.tags import Path
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.edits import Value as GivenValue
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.leaks.atoms import Atom
    from deidflow.tasks.verification.leaks.identifying import Value
    from deidflow.tasks.verification.reader import Read

_LOOKED_AT_BYTES: Final = 256
_MAX_CONTEXT_BYTES: Final = 1 << 12
_AROUND_BYTES: Final = 16
_DERIVATION_DESCRIPTION: Final = (0x00082111,)
_OF_THE_CONVERSION: Final = re.compile(
    rb"(?:Lossless JPEG compression, selection value \d+, point transform \d+"
    rb"|Lossy compression with JPEG [a-z0-9 ]+, IJG quality factor \d+"
    rb"|near lossless JPEG-LS compression), (?:compression ratio|factor) [\d.]+(?: \(NEAR=\d+\))?"
)
"""What an Orthanc writes of itself when it compresses (1.10.1 and 1.13.0); an earlier text would follow in brackets."""
_WRITER: Final = (0x00020013,)
_OF_THE_WRITER: Final = re.compile(rb"OFFIS_DCMTK_\d+")
"""What every Orthanc calls itself in the file meta, by its toolkit; some sources name that toolkit's maker, too."""
_PADDING: Final = b" \0"
_ANY_TEXT: Final = Leaf(0, 0, (0x00104000,), b"LT")
_OF_EVERY_OBJECT: Final = frozenset({Kind.DATE, Kind.DATE_TIME, Kind.TIME, Kind.UID, Kind.AGE})
"""What is not looked for in private elements: who keeps them as a whole has asked for their dates and UIDs."""
_OF_TEXTS: Final = frozenset({Kind.TEXT, Kind.DESCRIPTOR, Kind.CLEANED})
_DATE_ALONE: Final = re.compile(rb"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])")
_OF_THE_PERSON: Final = frozenset({0x00100030, 0x00100032, 0x00100033, 0x001021D0})
"""Dates that are looked for there, too: PatientBirthDate, ...Time, ...InAlternativeCalendar, LastMenstrualDate."""

_PLACES: Final = frozenset({Kind.PLACE, Kind.CLEANED_PLACE, Kind.TEXT})
"""What may be called like an institution or a station; numbers of a person are none, but who issued them is."""
_OF_INSTITUTIONS: Final = frozenset({0x00080080, 0x00080081, 0x00080104, 0x00081040, 0x00120031, 0x00120060})
"""Institution's name, address, department and what its codes mean, trial site and center: retain-institution-identity
alone lets these stay, whatever a device is called that another option keeps."""


class Scope(NamedTuple):
    """What a request means for the search.

    Attributes:
        treated: What its profile does.
        named: Paths of tags that it keeps or replaces by bytes: what stands there is its own word.
        replaced: Of those that it replaces by texts: what stands there is its own word as far as it says so.
        kept: Where it keeps values.
        shields: Sequences that it keeps.
        given: The texts that its Replace brings, a line each.
        given_forms: The same folded, without accents, and with umlauts as two letters.
        texts: Which words cleaned texts keep, folded.

    """

    treated: Treated
    named: frozenset[tuple[int, ...]]
    replaced: frozenset[tuple[int, ...]]
    kept: KeptPlaces
    shields: frozenset[int]
    given: bytes
    given_forms: bytes
    texts: TextChoice


def scope_of(request: Request, profile: ProfileChoice | None, *, hardens: bool) -> Scope:
    """Return what a request means.

    Args:
        request: An anonymization.
        profile: The PS3.15 profile of the run; None where the request names an Orthanc's.
        hardens: See ``LeakSearch``.

    """
    edits = request.edits
    bare = permitted(replace(request, edits=Edits()), hardening=False, hidden_bits=False, profile=profile)
    by_bytes = [path for path, value in edits.replace.items() if isinstance(value, str) and parse_embedded(value)]
    given = "\n".join(text for value in edits.replace.values() for text in _texts(value))
    return Scope(
        Treated(bare),
        _tags_of((*edits.keep, *by_bytes)),
        _tags_of(edits.replace.keys() - by_bytes),
        kept_places(edits.keep, is_standard=profile is not None, hardens=hardens),
        frozenset(path.tag for path in edits.keep if not path.is_nested) if profile is None else frozenset(),
        given.encode("utf-8", "surrogateescape"),
        b"\n".join(
            form.encode("utf-8", "surrogateescape").translate(FOLDED)
            for form in (given, canonical(given), two_letters(given))
        ),
        _folded(profile.texts) if profile is not None else TextChoice(),
    )


def _folded(texts: TextChoice) -> TextChoice:
    return replace(texts, words=frozenset(map(fold, texts.words)))


def _tags_of(paths: Iterable[Path]) -> frozenset[tuple[int, ...]]:
    return frozenset(tuple(map(in_any_block, (*(parent for parent, _ in path.parents), path.tag))) for path in paths)


def _texts(value: GivenValue) -> Iterator[str]:
    """Yield the texts of what Replace gives, but for a document, in whose digits any short name stands."""
    if not isinstance(value, str):
        for item in value:
            for _, inner in item:
                yield from _texts(inner)
    elif parse_embedded(value) is None:
        yield value


def _names(words: bytes, atom: Atom) -> bool:
    """Whether a part stands in some words as it would be found there: somebody called Philip not in Philips."""
    own = atom.text.encode("utf-8", "replace").translate(FOLDED)
    folded = words.translate(FOLDED)
    start = folded.find(own)
    while start >= 0:
        end = start + len(own)
        before, after = words[max(0, start - _AROUND_BYTES) : start], words[end : end + _AROUND_BYTES]
        if is_left(atom, Hit(words[start:end], before, after, _ANY_TEXT), Fate.FREE, b""):
            return True
        start = folded.find(own, start + 1)
    return False


def is_kept_uid(atom: Atom, uids: Uids | None) -> bool:
    """Whether a part is the UID of an object of the run that is called in the results as in the sources."""
    if atom.sort is not Sort.UID or uids is None:
        return False
    return any(uids.get(tag, atom.text) == atom.text for tag in IDENTIFIERS[1:])


class Judge:
    """Tells for each hit in one result whether it is a leak; made only where there is a hit."""

    def __init__(
        self,
        scope: Scope,
        instance: PlannedInstance,
        found: Identifying,
        patterns: Patterns,
        result: Read,
        uids: Uids | None,
    ) -> None:
        """Take what is searched for, and where.

        Args:
            scope: Of the request.
            instance: What was planned.
            found: What identifies the source.
            patterns: Of the study; what is not in them is looked for by itself.
            result: As far as it was read.
            uids: Of the run; None where none are mapped.

        """
        self._uids = uids
        self._scope = scope
        self._instance = instance
        self._found = found
        self._patterns = patterns
        self._result = result
        self._places: tuple[list[Leaf], list[Leaf]] | None = None
        self._secrets: dict[Atom, list[tuple[int, Kind]]] = {}

    def _leaves(self) -> tuple[list[Leaf], list[Leaf]]:
        if self._places is None:
            self._places = leaves_of(self._result)
        return self._places

    def is_secret(self, atom: Atom) -> bool:
        """Whether a part identifies the source, and nothing excuses that it stands in the result."""
        return bool(self._attributes(atom))

    def _attributes(self, atom: Atom) -> list[tuple[int, Kind]]:
        """Return the source's attributes that a part identifies by; none where it is no secret."""
        known = self._secrets.get(atom)
        if known is None:
            values = self._found.values
            common, known_values = self._patterns.by_atom.get(atom, ()), self._patterns.values
            own = [
                value
                for value in values
                if value in common or (value not in known_values and atom in atoms_of(value.kind, text_of(value)))
            ]
            is_secret = not self._is_given(atom) and not self._is_kept(atom)
            # What Keep leaves is no secret where another attribute has it, too: a name that is the PatientID.
            kept = {value.raw for value in self._found.named} if is_secret else set()
            own = [one for one in own if one.raw not in kept and not self._is_retained(atom, one)] if is_secret else []
            others = self._found.others
            known = self._secrets[atom] = [
                (tag, one.kind) for one in own for tag in (values[one], *sorted(others.get(one, ())))
            ]
        return known

    def _is_kept(self, atom: Atom) -> bool:
        """Whether the profile, the request or the plan leaves it in the result."""
        if is_kept_uid(atom, self._uids):
            return True
        is_own = atom.sort is Sort.UID and atom.text in self._instance.original[1:]
        kept = [] if is_own else [*self._found.kept]
        kept += self._found.named
        return any(atom in atoms_of(value.kind, text_of(value)) for value in kept)

    def _is_retained(self, atom: Atom, value: Value) -> bool:
        """Whether an option keeps it elsewhere: an AE title that is the station's name, a serial number in a text."""
        retained = self._found.retained
        texts = self._scope.texts
        if value.kind is Kind.CLEANED_PLACE and (texts.reviews_unknown or not texts.words.isdisjoint(words_in(atom))):
            return True  # cleaning left the words that the site knows, or is to look at
        if value.kind is Kind.CLEANED:
            return any(atom in atoms_of(one.kind, text_of(one)) for one in retained if one.kind is Kind.IDENTIFIER)
        tags = {self._found.values[value], *self._found.others.get(value, ())}
        if value.kind not in _PLACES and not all(keyword_for_tag(tag).startswith("Issuer") for tag in tags):
            return False
        if not tags.isdisjoint(_OF_INSTITUTIONS):
            return False
        return any(atom in atoms_of(Kind.PLACE, text_of(one)) for one in retained if one.kind is Kind.PLACE)

    def _is_given(self, atom: Atom) -> bool:
        """Whether the request gives it, or it is a word for the device."""
        is_word = atom.sort in {Sort.WORD, Sort.PHRASE}
        return _names(self._scope.given, atom) or (is_word and _names(self._found.device, atom))

    def judge(self, region: Region, folded: bytes, found: Found) -> Iterator[str]:
        """Yield what a hit gives away."""
        atoms = tuple(atom for atom in found.atoms if self._attributes(atom))
        if not atoms:
            return
        start, end = found.start, found.end
        leaf, fate = self.leaf(region, start, end), Fate.FREE
        low, high = 0, len(folded)
        if leaf is not None:
            if _begins(leaf.path, self._scope.named) or _is_of_the_writer(region, leaf):
                return
            if region.leaf is None:
                low, high = max(0, leaf.start - region.base), min(high, leaf.end - region.base)
            if region.in_dataset:
                fate = self._scope.treated.fate(leaf.path[-1], len(leaf.path) - 1)
        hit = Hit(*_around(region.data, found, low, high), leaf)
        if leaf is not None and _begins(leaf.path, self._scope.replaced) and self._gives(region, hit.raw):
            return
        value = folded[low:high] if high - low <= _MAX_CONTEXT_BYTES else b""
        for atom in atoms:
            if region.base < 0 and self._is_of_kept_id(atom):
                continue
            for tag, kind in self._attributes(atom):
                if tag not in _OF_THE_PERSON and _passes_private(leaf, kind, value):
                    continue
                if is_left(atom, hit, fate, value):
                    yield f"{describe_tag(tag)} of the source is left in {_place(region, leaf)}"
                    break

    def _is_of_kept_id(self, atom: Atom) -> bool:
        """Whether a part stands in a PatientID that the request names, of which the name of a file is made."""
        is_named = (PATIENT_ID,) in self._scope.named | self._scope.replaced
        return is_named and _names(self._instance.new.patient_id.encode("utf-8", "surrogateescape"), atom)

    def leaf(self, region: Region, start: int, end: int) -> Leaf | None:
        """Return the element whose value holds some bytes of a region; None where they stand elsewhere."""
        if region.base < 0 or region.leaf is not None:
            return region.leaf
        return leaf_at(self._leaves()[region.in_dataset], region.base + start, region.base + end)

    def _gives(self, region: Region, raw: bytes) -> bool:
        """Whether the request gives some bytes; of letters that are not ASCII that is told where they are decoded."""
        is_decoded = region.leaf is not None
        return raw.translate(FOLDED) in self._scope.given_forms or not (is_decoded or raw.isascii())

    def attributes_left(self, *, is_converted: bool) -> Iterator[str]:
        """Yield the attributes that the profile removes or empties, and that are there with a value.

        Args:
            is_converted: Whether the result has another transfer syntax, so that the server's own word on that may
                stand there.

        """
        for leaf in self._leaves()[1]:
            fate = self._scope.treated.fate(leaf.path[-1], len(leaf.path) - 1)
            scope = self._scope
            if fate not in {Fate.REMOVED, Fate.EMPTIED} or _begins(leaf.path, scope.named | scope.replaced):
                continue
            if any(tag in self._scope.shields for tag in leaf.path):
                continue
            value = self._result.value(leaf.start, min(leaf.end, leaf.start + _LOOKED_AT_BYTES)).strip(_PADDING)
            if is_converted and leaf.path == _DERIVATION_DESCRIPTION and _OF_THE_CONVERSION.fullmatch(value):
                continue
            if value:
                yield f"{describe_tag(leaf.path[-1])} of the source is left in {_path(leaf.path)}"


def _passes_private(leaf: Leaf | None, kind: Kind, value: bytes) -> bool:
    """Whether a private element may hold a part: an object's date, also where one of its texts tells the same."""
    if leaf is None or not any(above & 0x10000 for above in leaf.path):
        return False
    if kind in _OF_TEXTS:
        return all(_DATE_ALONE.fullmatch(one.strip(_PADDING)) for one in value.split(b"\\"))
    return kind in _OF_EVERY_OBJECT


def _begins(path: tuple[int, ...], named: frozenset[tuple[int, ...]]) -> bool:
    """Whether an element is one of some, or stands in one."""
    if not named:
        return False
    plain = tuple(map(in_any_block, path))
    return any(plain[:length] in named for length in range(1, len(plain) + 1))


def _around(data: bytes, found: Found, low: int, high: int) -> tuple[bytes, bytes, bytes]:
    """Return the bytes of a hit, what stands before and behind it; of wide characters the bytes that are not zero."""
    start, end = found.start, found.end
    parts = data[start:end], data[max(low, start - _AROUND_BYTES) : start], data[end : min(high, end + _AROUND_BYTES)]
    if not found.wide:
        return parts
    own, before, after = (part.replace(b"\0", b"") for part in parts)
    return own, before, after


def _is_of_the_writer(region: Region, leaf: Leaf) -> bool:
    if leaf.path != _WRITER or region.in_dataset:
        return False
    return bool(
        _OF_THE_WRITER.fullmatch(region.data[leaf.start - region.base : leaf.end - region.base].strip(_PADDING))
    )


def _place(region: Region, leaf: Leaf | None) -> str:
    if region.base < 0:
        return "the file name"
    if leaf is not None:
        return _path(leaf.path)
    return "bytes between or behind the elements" if region.in_dataset else "the preamble"


def _path(path: tuple[int, ...]) -> str:
    return " > ".join(describe_tag(tag) for tag in path)
