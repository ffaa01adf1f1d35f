"""The table that editing carries out: from an element's tag, path, VR and private creator to the rule for it.

Who makes it (``deidentification``) knows profiles and requests; here are the types alone. Of the rules for one element
the most special wins: one named by path or private creator (``PathNode``), by tag, by repeating group or being private,
by VR.

Public names: ``Scope``, ``Table``, ``Tables``, ``Naming``, ``NamedValue``, ``RepeatingGroup``, ``WherePresent``,
``FIRST_REPEATING_GROUP``, ``PixelPolicy``, ``TextOf``, ``TextAt``, ``LateValues``, ``LATE_TAGS``, ``Join``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import (
    PATIENT_ID,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    STUDY_INSTANCE_UID,
)
from deidflow.tasks.core.request.edits import Value
from deidflow.tasks.local.dicom_file.item_shapes import RepeatedElements
from deidflow.tasks.local.editing.private_blocks import with_plain_tags
from deidflow.tasks.local.editing.references import InstanceIdentifiers

if TYPE_CHECKING:
    from deidflow.tasks.core.errors import InstanceFailed
    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.core.pixels.facts import PixelFacts
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.private_elements import PrivateRules

TextOf = Callable[[int], str]
"""Gives the text of an element at the top level of a source by its tag, "" where it is absent or a sequence."""

TextAt = Callable[..., str]
"""Gives the text of an element of an item by its tag, behind those of sequences (whose first items count) if it is in
them; "" where it is absent or a sequence."""

LateValues = Callable[[TextOf, InstanceIdentifiers], Mapping[int, Value]]
"""Gives values of the top level that depend on the instance.

It is asked once for all instances of a series in which ``LATE_TAGS`` are equal (``shared_header``), so it may depend on
these alone: asking for others raises ``ValueError``.
"""

LATE_TAGS: Final = frozenset({PATIENT_NAME, PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_CLASS_UID})
"""Elements of the top level on which late values may depend."""

Join = Callable[[bytes, str], bytes]
"""Makes one value, padded, of the bytes that stand in the source and of the new text."""

FIRST_REPEATING_GROUP: Final = 0x50000000
"""Curves and overlays (PS3.5 section 7.6); no rule is looked for by group below."""


class NamedValue(NamedTuple):
    """A value that identifies somebody or something.

    Attributes:
        tag: Of the attribute that says so, or of the sequence in whose items another one does.
        text: Decoded, without padding.

    """

    tag: int
    text: str


@dataclass(frozen=True, slots=True)
class Naming:
    """Which values identify, so that texts are searched for them.

    Attributes:
        tags: Attributes whose values do, at every depth; so does every value of VR PN.
        in_items: Sequences in whose items further attributes do, with these.
        own: Makes of an instance's values what the rules look up (``InstanceIdentifiers.own``); equal values give the
            same.

    """

    tags: Collection[int]
    in_items: Mapping[int, Collection[int]]
    own: Callable[[frozenset[NamedValue]], object]


class WherePresent(NamedTuple):
    """Values of top-level elements for objects that have some attribute.

    Attributes:
        tags: Any of them will do, at any depth.
        values: By tag, instead of those of the table.

    """

    tags: frozenset[int]
    values: Mapping[int, Value]

    def is_in(self, elements: Iterable[Element]) -> bool:
        """Whether one of the attributes is among some elements or in what these hold."""
        if isinstance(elements, RepeatedElements):
            return not elements.shape.tags.isdisjoint(self.tags)
        return any(
            tag in self.tags or (sequence is not None and any(self.is_in(item[4]) for item in sequence[1]))
            for tag, _, _, _, _, sequence in elements
        )

    def values_for(self, elements: Iterable[Element]) -> Mapping[int, Value]:
        """Return the values for an object of these elements; none where it has none of the attributes."""
        return self.values if self.is_in(elements) else {}


class RepeatingGroup(NamedTuple):
    """A rule for public elements of repeating groups.

    Attributes:
        mask: Of the digits that count, in 32 bits.
        tag: With zeros where none counts; at least ``FIRST_REPEATING_GROUP``.
        rule: What happens to them.

    """

    mask: int
    tag: int
    rule: Rule


@dataclass(slots=True)
class Scope:
    """The rules of one kind of place: the top level, items, or items of a sequence that is kept.

    Attributes:
        by_tag: Rules for single elements.
        private: For private elements without a rule of their own.
        groups: For curves and overlays, the first that fits.
        by_vr: For elements that no other rule names, and for private ones that are kept; not for sequences.
        vrs: The public attributes that are known, by tag, with the VRs that fit them; None where any will do.
        misfit: For public elements that are not among ``vrs``, or have a VR that does not fit.
        items: Rules inside the items of single sequences, where they are others than those for all items.
        others: Rules inside the items of all other sequences; None for those of the table.
        choose: For items of which the values of some elements decide on the rules of others: gives those that are
            other ones than in ``by_tag``, one and the same mapping for each case; the request's own word counts more.
        variants: What ``chosen`` made so far.

    """

    by_tag: dict[int, Rule] = field(default_factory=dict)
    private: Rule | None = None
    groups: tuple[RepeatingGroup, ...] = ()
    by_vr: Mapping[str, Rule] = field(default_factory=dict)
    vrs: Mapping[int, Collection[str]] | None = None
    misfit: Rule | None = None
    items: Mapping[int, Scope] = field(default_factory=dict)
    others: Scope | None = None
    choose: Callable[[TextAt], Mapping[int, Rule]] | None = None
    variants: dict[int, tuple[Mapping[int, Rule], Scope]] = field(default_factory=dict, init=False, compare=False)

    def chosen(self, text_at: TextAt) -> Scope:
        """Return the rules for one item, by what stands in it."""
        if self.choose is None:
            return self
        rules = self.choose(text_at)
        found = self.variants.get(id(rules))
        if found is None:
            named = {tag for tag in rules if tag in self.by_tag and self.by_tag[tag].is_named}
            by_tag = {**self.by_tag, **{tag: rule for tag, rule in rules.items() if tag not in named}}
            found = self.variants[id(rules)] = (rules, replace(self, by_tag=by_tag, choose=None))
        return found[1]

    def rule_of_kind(self, tag: int, vr: str) -> Rule | None:
        """Return what happens to an element that is not named: private ones, curves and overlays, unknown ones.

        Args:
            tag: The element.
            vr: As it stands in the file; SQ for whatever has items.

        """
        if tag & 0x10000:
            return self.private
        if tag >= FIRST_REPEATING_GROUP:
            for mask, group, rule in self.groups:
                if tag & mask == group:
                    return rule
        if self.vrs is not None and tag & 0xFFFF and vr not in self.vrs.get(tag, ()):
            return self.misfit
        return None


@dataclass(frozen=True, slots=True)
class PixelPolicy:
    """What happens to the pixels of an object.

    Attributes:
        tags: Elements of the top level that the decision asks about.
        decide: Makes it.
        when_clean: The table for objects of which it says that nothing is burnt in, or is painted over.
        refuses_loss: Whether what is compressed with loss is refused where it has to be decoded to be painted.

    """

    tags: frozenset[int]
    decide: Callable[[PixelFacts], PixelDecision]
    when_clean: Table
    refuses_loss: bool = False


@dataclass(slots=True)
class Table:
    """What happens to each element of an object.

    Attributes:
        anonymizes: Whether it makes another object: items are looked into even where no path leads, and preamble and
            file meta information are made anew. Else an item in which no path ends stays as it is.
        top: Rules at top level.
        nested: Rules inside items, at every depth.
        shielded: Rules inside items of a kept sequence.
        values: New values of top-level elements with the action REPLACE, but for the identifiers and the PatientName,
            which differ from instance to instance.
        late_values: More of them, which depend on the instance.
        where_present: Other values for objects that have some attribute; None where there are none.
        joins: Top-level elements whose new value is joined with the one that stands there.
        appends: Top-level sequences in ``values`` whose items stand behind those of the file, unless they are there.
        paths: Rules and values by path, and those at top level by private creator; or None.
        everywhere: Rules by private creator that hold in every item, but for kept sequences.
        names_creators: Whether a path depends on the private creators of a dataset, so that each one is asked.
        given_identifiers: Identifiers with a new value of the request: written even where they are absent or equal.
        given_sequences: Sequences in ``values`` with items, which are treated like those of the file.
        sets_character_set: Whether SpecificCharacterSet itself is replaced or removed.
        clears_overlay_bits: Whether overlays in unused bits of the pixels go.
        frame_blanks: Says of each compressed frame (transfer syntax, all its fragments, rows times columns) which
            octets are no image and become blank, by start, end and what each becomes; raises ``InstanceFailed`` where
            nobody can tell. None where nobody asks.
        pixels: What happens to pixels; None where nobody asks.
        private: Rules for private elements by their creators, before that of their scope; None where nobody asks.
        naming: Which values identify; None where no rule asks.
        problem: A value that no file takes: each instance fails, also where the value would not be written.

    """

    anonymizes: bool
    top: Scope
    nested: Scope
    shielded: Scope
    values: dict[int, Value] = field(default_factory=dict)
    late_values: LateValues | None = None
    where_present: WherePresent | None = None
    joins: Mapping[int, Join] = field(default_factory=dict)
    appends: frozenset[int] = frozenset()
    paths: PathNode | None = None
    everywhere: tuple[PathNode, ...] = ()
    names_creators: bool = False
    given_identifiers: tuple[int, ...] = ()
    given_sequences: tuple[int, ...] = ()
    sets_character_set: bool = False
    clears_overlay_bits: bool = False
    frame_blanks: Callable[[str, bytes, int], Sequence[tuple[int, int, int]]] | None = None
    pixels: PixelPolicy | None = None
    private: PrivateRules | None = None
    naming: Naming | None = None
    problem: InstanceFailed | None = None

    def inner_scopes(self) -> list[Scope]:
        """Return the rules inside items, wherever they are not those of a kept sequence."""
        found, waiting = {id(self.nested): self.nested}, [self.nested, self.top]
        while waiting:
            outer = waiting.pop()
            for scope in (*outer.items.values(), *((outer.others,) if outer.others is not None else ())):
                if id(scope) not in found:
                    found[id(scope)] = scope
                    waiting.append(scope)
        return list(found.values())

    def read_paths(
        self, nodes: tuple[PathNode, ...], elements: Collection[Element], read: Read, charset: CharacterSet
    ) -> tuple[PathNode, ...]:
        """Return paths as they read in one dataset, whose private blocks are its own; see ``with_plain_tags``."""
        return with_plain_tags(nodes, elements, read, charset) if self.names_creators and nodes else nodes


@dataclass(frozen=True, slots=True)
class Tables:
    """A compiled request.

    Attributes:
        of_class: Gives the table for objects of a SOP class by SOPClassUID, "" where an object has none: the type of an
            attribute, on which actions may depend, is a matter of the IOD. Equal UIDs give the same table.
        given_identifiers: See ``Table``; the same in all of them.

    """

    of_class: Callable[[str], Table]
    given_identifiers: tuple[int, ...] = ()
