"""Edit one dataset: decide on every element, and describe the result as spans of the source and new bytes.

Nothing that was not asked to change is touched: its header, length, padding and order stay, byte for byte. Lengths of
items, sequences and groups that enclose a change are mended.

Public names: ``Context``, ``Editor``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    describe_tag,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.deidentification.record import keeps_identity, with_earlier_methods
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT, CharacterSet, character_set, given_character_set
from deidflow.tasks.local.dicom_file.encoding import ITEM, MAX_SHORT_LENGTH, UNDEFINED, Encoding, element_header
from deidflow.tasks.local.dicom_file.values import NUMBER_VRS, choose_vr, encode_element, encode_value
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.given_items import treated_items, values_of_paths
from deidflow.tasks.local.editing.path_nodes import step_into
from deidflow.tasks.local.editing.spans import Output, parts_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.elements import Element, Item
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.references import Subject
    from deidflow.tasks.local.editing.rules import Rules
    from deidflow.tasks.local.editing.spans import Part

_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "PN", "UC", "UT"})
"""VRs that SpecificCharacterSet concerns (PS3.5 section 6.1.2.3, edition 2026c)."""

_UID_VRS = frozenset({"UI", "UN"})
"""VRs whose values may be UIDs: what the file does not tell, and no dictionary, may be one, too."""

_FIRST_CURVE = 0x50000000
_MAX_UIDS_BYTES = 1 << 16
"""Of a value in which UIDs are looked for; what is longer is none, in whatever VR it comes."""

_UNCHANGED = (None, Action.KEEP, Action.SET)
_ENTERED = (None, Action.KEEP, Action.SET, Action.MAP_UID)
_UNDEFINED_BYTES = b"\xff\xff\xff\xff"


class _Place(NamedTuple):
    """Where in a file a dataset stands: what it inherits from above.

    Attributes:
        charset: Of its new values, unless it declares another.
        nodes: Of the request's paths that lead here.
        depth: 0 at top level.
        shielded: Whether a kept sequence holds it.

    """

    charset: CharacterSet
    nodes: tuple[PathNode, ...]
    depth: int
    shielded: bool = False


class Context(NamedTuple):
    """What holds for all elements of a dataset's top level.

    Attributes:
        charset: Which its new values are written in.
        nodes: Of the request's paths.
        new_values: Elements to write, by tag, whether they are there or not.

    """

    charset: CharacterSet
    nodes: tuple[PathNode, ...]
    new_values: dict[int, Value]


class Editor:
    """Editor of one file's dataset."""

    __slots__ = ("_old_charset", "_rules", "_source", "_subject", "changed", "uid_vrs")

    def __init__(self, source: SourceFile, rules: Rules, subject: Subject) -> None:
        """Take the open source, the compiled request and the instance's identifiers."""
        self._source = source
        self._rules = rules
        self._subject = subject
        self.changed = subject.new_identifiers(rules.given_identifiers)
        self._old_charset: CharacterSet | None = None
        self.uid_vrs = _UID_VRS if rules.anonymizes and subject.references.originals else frozenset[str]()

    def edit(self, elements: list[Element], encoding: Encoding, end: int) -> list[Part]:
        """Edit the top level and all that is below; return the parts of the result.

        Args:
            elements: All elements of the dataset.
            encoding: Of the dataset.
            end: Where the dataset ends in the source's body.

        Raises:
            InstanceFailed: A new value cannot be written.

        """
        context = self.context(elements)
        parts = self.edit_some(elements, encoding, context, context.new_values)
        return parts if elements or parts else [(end, end)]

    def context(self, elements: list[Element]) -> Context:
        """Find out what holds for all elements of the dataset.

        Raises:
            InstanceFailed: The request has a value that no file takes, or this one does not.

        """
        rules = self._rules
        if rules.problem is not None:
            raise InstanceFailed(rules.problem.code, str(rules.problem))
        charset = self._charset_of(elements) or DEFAULT
        if rules.sets_character_set:
            self._old_charset = charset
            charset = given_character_set(rules.values.get(SPECIFIC_CHARACTER_SET, ""))
        paths = (rules.paths,) if rules.paths else ()
        nodes = rules.read_paths(paths, elements, self._source.read, self._old_charset or charset)
        new_values: dict[int, Value] = dict(rules.values)
        for tag in rules.given_sequences:
            items = rules.values[tag]
            if isinstance(items, tuple):
                new_values[tag] = treated_items(tag, items, rules, self._subject, nodes)
        for node in nodes:
            new_values.update(node.replace)  # at top level only what is named by a private creator
        new_values.update(self.changed)
        if rules.claims_identity_removed and keeps_identity(self._source, elements, rules, self._subject, charset):
            new_values[PATIENT_IDENTITY_REMOVED] = "NO"
        if PIXEL_DATA in new_values and self._source.layout.is_compressed:
            message = "new PixelData cannot be put into a file whose pixels are compressed"
            raise InstanceFailed(ReasonCode.BAD_VALUE, message)
        name = self._subject.patient_name
        if name is not None and rules.top.get(PATIENT_NAME) is Action.SET:
            new_values.setdefault(PATIENT_NAME, name)
        return Context(charset, nodes, new_values)

    def edit_some(
        self, elements: list[Element], encoding: Encoding, context: Context, new_values: Mapping[int, Value]
    ) -> list[Part]:
        """Edit consecutive elements of the top level and all that is below.

        Args:
            elements: Some or all elements of the dataset.
            encoding: Of the dataset.
            context: Of the dataset.
            new_values: Those of the context that belong here: for these elements, before and behind them.

        Raises:
            InstanceFailed: A new value cannot be written.

        """
        place = _Place(context.charset, context.nodes, 0)
        return self._dataset(elements, encoding, place, new_values, self._rules.top).parts

    def top_action(self, tag: int, context: Context) -> Action | None:
        """Return what happens to an element of the top level, None when no rule concerns it."""
        action = self._rules.top.get(tag)
        if context.nodes:
            action = self._action_of_paths(tag, context.nodes, action)
        if action is None and (tag & 0x10000 or tag >= _FIRST_CURVE):
            action = self._rules.default_action(tag, nested=False)
        return action

    def _charset_of(self, elements: list[Element]) -> CharacterSet | None:
        """Return the character set that a dataset declares, None when it is that of the dataset above."""
        for tag, _, _, value, end, _ in elements:
            if tag == SPECIFIC_CHARACTER_SET:
                return character_set(self._source.read(value, end))
            if tag > SPECIFIC_CHARACTER_SET:
                break
        return None

    def _dataset(  # noqa: C901, PLR0912 (the loop over elements; a call per element would double the time)
        self,
        elements: list[Element],
        encoding: Encoding,
        place: _Place,
        new_values: Mapping[int, Value],
        actions: Mapping[int, Action],
    ) -> Output:
        charset, nodes, depth, shielded = place
        rules, output, uid_vrs = self._rules, Output(), self.uid_vrs
        pending = [UNDEFINED, *sorted(new_values, reverse=True)]
        next_new = pending[-1]
        visits = rules.visits_items or bool(nodes) or self._old_charset is not None
        simple = not nodes and self._old_charset is None
        drops_private = not shielded and (rules.drop_private_nested if depth else rules.drop_private_top)
        run_start = run_end = 0
        for element in elements:
            tag, vr, start, _, end, sequence = element
            action = actions.get(tag)
            if action is None and simple and tag < next_new and tag & 0xFFFF and output.group < 0:
                # Nearly all elements: not named by any rule. Those that stay become one span with their neighbours.
                if tag & 0x10000:
                    if drops_private:
                        continue
                elif sequence is None and tag < _FIRST_CURVE and vr not in uid_vrs:
                    if start != run_end:
                        output.span(run_start, run_end)
                        run_start = start
                    run_end = end
                    continue
            output.span(run_start, run_end)
            run_start = run_end
            while tag > next_new:
                data = encode_element(next_new, new_values[next_new], charset, encoding)
                output.append(pending.pop(), data, start, encoding)
                next_new = pending[-1]
            if output.group >= 0 and tag >> 16 != output.group:
                output.close_group(start, encoding)
            if nodes:
                action = self._action_of_paths(tag, nodes, action)
            if action is None and (tag & 0x10000 or tag >= _FIRST_CURVE):
                action = rules.default_action(tag, nested=depth > 0, shielded=shielded)
            if tag in new_values:
                # A second element of this tag, or one behind greater tags, must not bring the old value back.
                if tag == next_new:
                    pending.pop()
                    next_new = pending[-1]
                    output.parts.append(self._replacement(element, new_values[tag], charset, encoding))
            elif action is Action.DROP:
                continue
            elif sequence is not None and visits and action in _ENTERED:
                below = _Place(charset, nodes, depth + 1, shielded or action is Action.KEEP)
                self._sequence(output, element, encoding, below)
            else:
                self._leaf(output, action, element, charset, encoding)
        output.span(run_start, run_end)
        source_end = elements[-1][4] if elements else 0
        return _finished(output, pending, new_values, source_end, charset, encoding)

    def _replacement(self, element: Element, new: Value, charset: CharacterSet, encoding: Encoding) -> bytes:
        """Return the new form of an element that is there; the mark of this step is added to those of earlier ones."""
        tag, _, _, value, end, sequence = element
        if tag == DEIDENTIFICATION_METHOD and new == self._rules.added_method and sequence is None:
            joint = with_earlier_methods(self._source.read(value, min(end, value + MAX_SHORT_LENGTH)), new)
            return element_header(tag, "LO", len(joint), encoding) + joint
        return encode_element(tag, new, charset, encoding)

    def _leaf(
        self, output: Output, action: Action | None, element: Element, charset: CharacterSet, encoding: Encoding
    ) -> None:
        """Write an element that is not looked into."""
        tag, vr, _, value, end, sequence = element
        stays = action is None or (action is Action.KEEP and tag & 0x10000)
        if stays and vr in self.uid_vrs and sequence is None and end - value <= _MAX_UIDS_BYTES:
            action = Action.MAP_ORIGINAL_UIDS
        if action in _UNCHANGED or (sequence is not None and action is Action.MAP_UID):
            self._keep(output, element, charset)
        else:
            self._apply(output, action, element, charset, encoding)

    def _keep(self, output: Output, element: Element, charset: CharacterSet) -> None:
        """Leave an element as it is."""
        tag, vr, start, value, end, sequence = element
        if tag & 0xFFFF == 0 and end - value == 4:  # noqa: PLR2004 (a group length)
            output.open_group(element, self._source.read(start, value), self._source.read(value, end))
            return
        output.span(start, end)
        if self._old_charset is not None and vr in _TEXT_VRS and sequence is None:
            self._check_text(element, self._old_charset, charset)

    def _check_text(self, element: Element, old: CharacterSet, new: CharacterSet) -> None:
        """Refuse to declare another character set over text that would read differently in it (Orthanc does not)."""
        tag, vr, _, value, end, _ = element
        raw = self._source.read(value, end)
        is_name = vr == "PN"
        if old.decode(raw, is_person_name=is_name) != new.decode(raw, is_person_name=is_name):
            message = f"{describe_tag(tag)} keeps text that the new SpecificCharacterSet would garble"
            raise InstanceFailed(ReasonCode.CHARACTER_SET, message)

    def _apply(
        self, output: Output, action: Action | None, element: Element, charset: CharacterSet, encoding: Encoding
    ) -> None:
        """Write an element that an action changes in its own place."""
        tag, vr, start, value, end, sequence = element
        if action is not Action.MAP_ORIGINAL_UIDS and (vr == "UN" or sequence is not None):  # a name sent as a sequence
            vr = choose_vr(tag)
        if action is Action.EMPTY:
            if value == end and vr == element[1]:
                output.span(start, end)
            else:
                output.parts.append(element_header(tag, vr, 0, encoding))
            return
        raw = self._source.read(value, end)
        if action is Action.MAP_UID:
            new = self._subject.references.map_uid_value(raw)
        elif action is Action.MAP_ORIGINAL_UIDS:
            new = self._subject.references.map_originals(raw)
        elif action is Action.MAP_PATIENT_ID:
            original = (self._old_charset or charset).decode_patient_id(raw)
            new = encode_value(tag, vr, self._subject.map_patient_id(original), charset, encoding)
        else:
            name = self._subject.patient_name
            new = encode_value(tag, vr, name, charset, encoding) if name is not None and raw.strip() else raw
        if new == raw:
            output.span(start, end)
            return
        if action is Action.MAP_UID and vr in NUMBER_VRS:
            message = f"the new value of {describe_tag(tag)} cannot be written with VR {vr}"
            raise InstanceFailed(ReasonCode.BAD_VALUE, message)
        try:
            output.parts.append(element_header(tag, vr, len(new), encoding) + new)
        except OverflowError as error:
            raise InstanceFailed(ReasonCode.BAD_VALUE, f"{describe_tag(tag)}: {error}") from None

    def _action_of_paths(self, tag: int, nodes: tuple[PathNode, ...], action: Action | None) -> Action | None:
        """Return the action where the request names the element by a path; a later list wins (reference 2.2)."""
        for node in nodes:
            if tag in node.remove:
                return Action.DROP
        if any(tag in node.keep for node in nodes):
            return Action.KEEP
        return action

    def _sequence(self, output: Output, element: Element, outer: Encoding, place: _Place) -> None:
        """Write a sequence, unchanged items as spans, and lengths mended where they are defined."""
        tag, _, start, value, end, sequence = element
        assert sequence is not None  # noqa: S101 (the caller's condition)
        encoding, items = sequence
        written = Output()
        for index, item in enumerate(items):
            nodes = step_into(place.nodes, tag, index) if place.nodes else ()
            if not place.shielded:
                nodes += self._rules.everywhere
            self._item(written, item, encoding, place._replace(nodes=nodes))
        items_end = items[-1][3] if items else value
        if written.parts == [(value, items_end)] or not items:
            output.span(start, end)
        elif self._source.read(value - 4, value) == _UNDEFINED_BYTES:
            output.span(start, value)
            output.extend(written.parts)
            output.span(items_end, end)
        else:
            header = self._source.read(start, value - 4)
            output.parts.append(header + outer.long_length.pack(parts_size(written.parts)))
            output.extend(written.parts)

    def _item(self, written: Output, item: Item, encoding: Encoding, place: _Place) -> None:
        """Write an item, its length mended where it is defined."""
        start, content, stop, end, elements = item
        charset, above = place.charset, self._old_charset
        declared = self._charset_of(elements)
        old_charset = declared or above or charset
        nodes = self._rules.read_paths(place.nodes, elements, self._source.read, old_charset)
        new_values = values_of_paths(nodes) if nodes else {}
        actions = self._rules.shielded if place.shielded else self._rules.nested
        if not self._rules.anonymizes and not any(node.remove or node.replace for node in nodes):
            actions = {}  # modify leaves an item alone in which no path ends
        if SPECIFIC_CHARACTER_SET in new_values:
            charset = given_character_set(new_values[SPECIFIC_CHARACTER_SET])
        elif not any(SPECIFIC_CHARACTER_SET in node.remove for node in nodes):
            charset = declared or charset
        self._old_charset = old_charset if old_charset != charset else None
        place = place._replace(charset=charset, nodes=nodes)
        inner = self._dataset(elements, encoding, place, new_values, actions).parts
        self._old_charset = above
        if inner == [(content, stop)] or (not inner and content == stop):
            written.span(start, end)
        elif self._source.read(content - 4, content) == _UNDEFINED_BYTES:
            written.span(start, content)
            written.extend(inner)
            written.span(stop, end)
        else:
            written.parts.append(encoding.tag_length.pack(ITEM >> 16, ITEM & 0xFFFF, parts_size(inner)))
            written.extend(inner)


def _finished(
    output: Output,
    pending: list[int],
    new_values: Mapping[int, Value],
    source_end: int,
    charset: CharacterSet,
    encoding: Encoding,
) -> Output:
    """Append new elements that stand behind all others, and close the last group."""
    for tag in reversed(pending[1:]):
        output.append(tag, encode_element(tag, new_values[tag], charset, encoding), source_end, encoding)
    if output.group >= 0:
        output.close_group(source_end, encoding)
    return output
