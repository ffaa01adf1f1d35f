"""Edit one dataset: decide on every element, and describe the result as spans of the source and new bytes.

Nothing that was not asked to change is touched: its header, length, padding and order stay, byte for byte. Lengths of
items, sequences and groups that enclose a change are mended.

Public names: ``Editor``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, PIXEL_DATA, SPECIFIC_CHARACTER_SET
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT, CharacterSet, given_character_set
from deidflow.tasks.local.dicom_file.encoding import ITEM, MAX_SHORT_LENGTH, UNDEFINED, Encoding, element_header
from deidflow.tasks.local.dicom_file.item_shapes import RepeatedElements
from deidflow.tasks.local.dicom_file.values import choose_vr, encode_element, encode_items
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.context import Context
from deidflow.tasks.local.editing.given_items import missing_items, treated_items, values_of_paths
from deidflow.tasks.local.editing.item_texts import declared_charset, late_text, named_values, text_at
from deidflow.tasks.local.editing.items.place import Place
from deidflow.tasks.local.editing.items.recipes import Enclosing, NoRecipeError, Recorder
from deidflow.tasks.local.editing.items.shared_items import Repeater
from deidflow.tasks.local.editing.new_values import CharacterSets, changed_element, check_kept_text, finished
from deidflow.tasks.local.editing.painting.choice import pixel_work
from deidflow.tasks.local.editing.path_nodes import rule_of_paths, step_into
from deidflow.tasks.local.editing.private_elements import PrivateBlocks
from deidflow.tasks.local.editing.references import CleaningNotes
from deidflow.tasks.local.editing.spans import Output, is_no_group_length, spans_size
from deidflow.tasks.local.editing.splice import sop_class_of
from deidflow.tasks.local.editing.table import FIRST_REPEATING_GROUP, NamedValue, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deidflow.tasks.core.request.edits import Item as NewItem
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.elements import Element, Item
    from deidflow.tasks.local.dicom_file.item_shapes import Shape
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.items.recipes import Recipe
    from deidflow.tasks.local.editing.items.shared_items import SharedItems
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table, Tables

_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "PN", "UC", "UT"})
"""VRs that SpecificCharacterSet concerns (PS3.5 section 6.1.2.3, edition 2026c)."""

_MAX_UIDS_BYTES = 1 << 16
"""Of a value in which UIDs of the run are looked for; what is longer and has another VR than UI is none."""

_UNTOUCHED = Scope()
_UNDEFINED_BYTES = b"\xff\xff\xff\xff"


class Editor:
    """Editor of one file's dataset."""

    __slots__ = ("_identifiers", "_items", "_old_charset", "_read", "_recorder", "_source", "_tables", "changed")

    def __init__(
        self, source: SourceFile, tables: Tables, identifiers: InstanceIdentifiers, items: SharedItems | None = None
    ) -> None:
        """Take the open source, the compiled request, the instance's identifiers, and what is known of items."""
        self._source, self._read = source, source.read
        self._items = items
        self._recorder: Recorder | None = None
        self._tables = tables
        self._identifiers = identifiers
        self.changed = identifiers.new_identifiers(tables.given_identifiers)
        self._old_charset: CharacterSet | None = None

    def edit(self, elements: list[Element], encoding: Encoding, end: int, context: Context) -> list[Span]:
        """Edit the top level and all that is below; return the spans of the result.

        Args:
            elements: All elements of the dataset.
            encoding: Of the dataset.
            end: Where the dataset ends in the source's body.
            context: Of the dataset.

        Raises:
            InstanceFailed: A new value cannot be written.

        """
        spans = self.edit_some(elements, encoding, context, context.new_values)
        return spans if elements or spans else [(end, end)]

    def context(self, elements: list[Element]) -> Context:
        """Find out what holds for all elements of the dataset.

        Raises:
            InstanceFailed: The request has a value that no file takes, or this one does not.

        """
        sop_class = sop_class_of(self._source, elements) or b""
        table = self._tables.of_class(sop_class.decode("latin-1").strip(" \0"))
        if table.problem is not None:
            raise InstanceFailed(table.problem.code, str(table.problem))
        table, pixels = pixel_work(table, self._source, elements)
        charset = declared_charset(elements, self._read) or DEFAULT
        if table.sets_character_set:
            self._old_charset = charset
            charset = given_character_set(table.values.get(SPECIFIC_CHARACTER_SET, ""))
        old_charset = self._old_charset or charset
        paths = (table.paths,) if table.paths else ()
        nodes = table.read_paths(paths, elements, self._read, old_charset)
        new_values = self._given_values(table, nodes)
        for node in nodes:
            new_values.update(node.replace)  # at top level only what is named by a private creator
        new_values.update(self.changed)
        if pixels is not None:
            new_values.update({tag: value for tag, value in pixels.values.items() if tag not in table.values})
        if table.late_values is not None:
            new_values.update(
                table.late_values(partial(late_text, elements, self._read, old_charset), self._identifiers)
            )
        if table.where_present is not None:
            new_values.update(table.where_present.values_for(elements))
        if PIXEL_DATA in new_values and self._source.layout.is_compressed:
            message = "new PixelData cannot be put into a file whose pixels are compressed"
            raise InstanceFailed(ReasonCode.BAD_VALUE, message)
        name, rule = self._identifiers.patient_name, table.top.by_tag.get(PATIENT_NAME)
        if name is not None and rule is not None and rule.action is Action.REPLACE:
            new_values.setdefault(PATIENT_NAME, name)
        context = Context(table, charset, nodes, new_values, pixels=pixels)
        if table.private is not None:
            blocks = PrivateBlocks.of_object(table.private, elements, self._read, old_charset)
            context = context._replace(private=blocks)
        if table.naming is not None:
            context = context._replace(named=named_values(elements, self._read, old_charset, table.naming))
            self.know(context)
        return context

    def _given_values(self, table: Table, nodes: tuple[PathNode, ...]) -> dict[int, Value]:
        """Return the values that a table gives, those of sequences treated like the file's own."""
        given: dict[int, Value] = dict(table.values)
        for tag in table.given_sequences:
            items = table.values[tag]
            if isinstance(items, tuple):
                given[tag] = treated_items(tag, items, table, self._identifiers, nodes)
        return given

    def take_notes(self, instead: CleaningNotes | None = None) -> CleaningNotes:
        """Return what cleaning came to since the last call; others may stand in its place."""
        notes, self._identifiers.notes = self._identifiers.notes, instead or CleaningNotes()
        return notes

    def know(self, context: Context) -> None:
        """Have texts searched for the values that identify in an instance, and for what others call its patient."""
        naming, identifiers = context.table.naming, self._identifiers
        if naming is not None:
            others = {NamedValue(PATIENT_NAME, name) for name in identifiers.other_names()}
            identifiers.own = naming.own(context.named | others)

    def edit_some(
        self, elements: list[Element], encoding: Encoding, context: Context, new_values: Mapping[int, Value]
    ) -> list[Span]:
        """Edit consecutive elements of the top level and all that is below.

        Args:
            elements: Some or all elements of the dataset.
            encoding: Of the dataset.
            context: Of the dataset.
            new_values: Those of the context that belong here: for these elements, before and behind them.

        Raises:
            InstanceFailed: A new value cannot be written.

        """
        place = Place(*(context.table, context.charset, context.nodes, 0, context.table.top), private=context.private)
        return self._dataset(elements, encoding, place, new_values).spans

    def top_rule(self, tag: int, vr: str, context: Context) -> Rule | None:
        """Return what happens to an element of the top level, None when no rule but that of its VR concerns it."""
        scope = context.table.top
        rule = context.private.rule_of(tag, vr) if context.private is not None and tag & 0x10000 else None
        return rule_of_paths(tag, context.nodes, scope.by_tag.get(tag) or rule) or scope.rule_of_kind(tag, vr)

    def _dataset(  # noqa: C901, PLR0912, PLR0915 (the loop over elements; a call per element would double the time)
        self, elements: Sequence[Element], encoding: Encoding, place: Place, new_values: Mapping[int, Value]
    ) -> Output:
        table, charset, nodes, depth, scope, shielded, blocks = place
        rules, by_vr, private, vrs = scope.by_tag, scope.by_vr, scope.private, scope.vrs
        output = Output(mends=table.anonymizes)
        pending = [UNDEFINED, *sorted(new_values, reverse=True)]
        next_new = pending[-1]
        visits = table.anonymizes or bool(nodes) or self._old_charset is not None
        simple = not nodes and self._old_charset is None
        drops_private, first_group = private is not None and private.removes, FIRST_REPEATING_GROUP
        run_start = run_end = 0
        for element in elements:
            tag, vr, start, _, end, sequence = element
            rule = rules.get(tag)
            if rule is None and blocks is not None and tag & 0x10000:
                rule = blocks.rule_of(tag, vr if sequence is None else "SQ")
            if rule is None and simple and tag < next_new and tag & 0xFFFF and output.group < 0:
                # Nearly all elements: not named by any rule. Those that stay become one span with their neighbours.
                if tag & 0x10000:
                    if drops_private:
                        continue
                elif (
                    sequence is None and tag < first_group and not (vr in by_vr or (vrs and vr not in vrs.get(tag, ())))
                ):
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
                rule = rule_of_paths(tag, nodes, rule)
            if rule is None:
                rule = scope.rule_of_kind(tag, vr if sequence is None else "SQ")
            if tag in new_values:
                # A second element of this tag, or one behind greater tags, must not bring the old value back.
                if tag == next_new:
                    pending.pop()
                    next_new = pending[-1]
                    output.spans.append(self._replacement(element, new_values[tag], place, encoding))
            elif (rule is not None and rule.removes) or (table.anonymizes and is_no_group_length(element)):
                continue
            elif sequence is not None and visits and (rule is None or rule.enters_items):
                shields = shielded or (rule is not None and rule.action is Action.KEEP)
                inside = table.shielded if shields else scope.items.get(tag) or scope.others or table.nested
                below = Place(table, charset, nodes, depth + 1, inside, shields, blocks)
                self._sequence(output, element, encoding, below)
            else:
                self._leaf(output, rule, element, by_vr, charset, encoding)
        output.span(run_start, run_end)
        source_end = elements[-1][4] if elements else 0
        return finished(output, pending, new_values, source_end, charset, encoding)

    def _replacement(self, element: Element, new: Value, place: Place, encoding: Encoding) -> bytes:
        """Return the new form of an element that is there."""
        tag, _, _, value, end, sequence = element
        table, charset = place.table, place.charset
        join = table.joins.get(tag) if place.depth == 0 else None
        if isinstance(new, tuple) and sequence is not None and place.depth == 0 and tag in table.appends:
            inside = place._replace(depth=1, scope=place.scope.items.get(tag) or table.nested)
            return self._appended(element, new, inside, encoding)
        if join is not None and isinstance(new, str) and sequence is None:
            joint = join(self._read(value, min(end, value + MAX_SHORT_LENGTH)), new)
            return element_header(tag, choose_vr(tag), len(joint), encoding) + joint
        return encode_element(tag, new, charset, encoding)

    def _appended(self, element: Element, new: tuple[NewItem, ...], place: Place, outer: Encoding) -> bytes:
        """Return a sequence with its own items, edited as ever, and behind them those that it lacks."""
        tag, vr, _, _, _, sequence = element
        assert sequence is not None  # noqa: S101 (the caller's condition)
        encoding, items = sequence
        read, written = self._read, Output()
        for index, item in enumerate(items):
            nodes = step_into(place.nodes, tag, index) + place.table.everywhere
            self._item(written, item, encoding, place._replace(nodes=nodes))
        data = b"".join(read(*part[:2]) if isinstance(part, tuple) else part for part in written.spans)
        data += encode_items(missing_items(new, items, read), place.charset, encoding)
        return element_header(tag, vr, len(data), outer) + data

    def _leaf(
        self,
        output: Output,
        rule: Rule | None,
        element: Element,
        by_vr: Mapping[str, Rule],
        charset: CharacterSet,
        encoding: Encoding,
    ) -> None:
        """Write an element that is not looked into."""
        tag, vr, start, value, end, sequence = element
        if rule is None or (rule.action is Action.KEEP and tag & 0x10000):
            rule = (by_vr.get(vr) if sequence is None else None) or rule
        if rule is not None and rule.of_the_run and vr != "UI" and end - value > _MAX_UIDS_BYTES:
            rule = None
        if rule is None or rule.stays or (sequence is not None and rule.action is Action.REPLACE_UID):
            self._keep(output, element, charset)
            return
        charsets = CharacterSets(self._old_charset or charset, charset)
        if self._recorder is not None and rule.action is not Action.EMPTY:
            output.spans.append(self._recorder.slot(rule, element, charsets, encoding))
            return
        changed = changed_element(rule, element, self._read, self._identifiers, charsets, encoding)
        if changed is None:
            output.span(start, end)
        else:
            output.spans.append(changed)

    def _keep(self, output: Output, element: Element, charset: CharacterSet) -> None:
        """Leave an element as it is."""
        tag, vr, start, value, end, sequence = element
        if tag & 0xFFFF == 0 and end - value == 4:  # noqa: PLR2004 (a group length)
            if self._recorder is not None:
                raise NoRecipeError
            output.open_group(element, self._read(start, value), self._read(value, end))
            return
        output.span(start, end)
        if self._old_charset is not None and sequence is None and (vr in _TEXT_VRS or tag == PATIENT_ID):
            check_kept_text(element, self._read(value, end), CharacterSets(self._old_charset, charset))

    def _sequence(self, output: Output, element: Element, outer: Encoding, place: Place) -> None:
        """Write a sequence, unchanged items as spans, and lengths mended where they are defined."""
        tag, _, start, value, end, sequence = element
        assert sequence is not None  # noqa: S101 (the caller's condition)
        encoding, items = sequence
        written = Output()
        everywhere = () if place.shielded else place.table.everywhere
        inside, repeater = place, None
        for index, item in enumerate(items):
            nodes = (step_into(place.nodes, tag, index) if place.nodes else ()) + everywhere
            if not index or nodes != inside.nodes:
                inside, repeater = place._replace(nodes=nodes), None
            if isinstance(item[4], RepeatedElements) and self._items is not None and self._recorder is None:
                repeater = repeater or self._repeater(inside, encoding, self._items)
                if repeater.write(written, item, item[4].shape):
                    continue
            self._item(written, item, encoding, inside)
        items_end = items[-1][3] if items else value
        if written.spans == [(value, items_end)] or not items:
            output.span(start, end)
        elif self._read(value - 4, value) == _UNDEFINED_BYTES:
            output.span(start, value)
            output.extend(written.spans)
            output.span(items_end, end)
        else:
            output.spans.append(self._header(self._read(start, value - 4), outer, written.spans))
            output.extend(written.spans)

    def _item(self, written: Output, item: Item, encoding: Encoding, place: Place) -> None:
        """Write an item, its length mended where it is defined."""
        start, content, stop, end, elements = item
        charset, above = place.charset, self._old_charset
        declared = declared_charset(elements, self._read)
        old_charset = declared or above or charset
        table = place.table
        nodes = table.read_paths(place.nodes, elements, self._read, old_charset)
        new_values = values_of_paths(nodes) if nodes else {}
        untouched = not table.anonymizes and not any(node.edits for node in nodes)
        charset_rule = rule_of_paths(SPECIFIC_CHARACTER_SET, nodes)
        if SPECIFIC_CHARACTER_SET in new_values:
            charset = given_character_set(new_values[SPECIFIC_CHARACTER_SET])
        elif charset_rule is None or not charset_rule.removes:
            charset = declared or charset
        self._old_charset = old_charset if old_charset != charset else None
        scope = _UNTOUCHED if untouched else place.scope
        if scope.choose is not None:
            scope = scope.chosen(partial(text_at, elements, self._read, old_charset))
        blocks = place.private and place.private.of_item(elements, self._read, old_charset)
        place = place._replace(charset=charset, nodes=nodes, scope=scope, private=blocks)
        try:
            inner = self._dataset(elements, encoding, place, new_values).spans
        finally:
            self._old_charset = above
        if inner == [(content, stop)] or (not inner and content == stop):
            written.span(start, end)
        elif self._read(content - 4, content) == _UNDEFINED_BYTES:
            written.span(start, content)
            written.extend(inner)
            written.span(stop, end)
        else:
            tag = encoding.tag_length.pack(ITEM >> 16, ITEM & 0xFFFF, 0)[:4]
            written.spans.append(self._header(tag, encoding, inner))
            written.extend(inner)

    def _header(self, before: bytes, encoding: Encoding, inside: list[Span]) -> bytes:
        """Return the header of something of defined length."""
        data = before + encoding.long_length.pack(spans_size(inside))
        return data if self._recorder is None else Enclosing.of(data, before, encoding.long_length, inside)

    def _repeater(self, place: Place, encoding: Encoding, items: SharedItems) -> Repeater:
        """Return who writes items in a place as others before."""
        recipes, record = items.recipes(place.name(self._old_charset, encoding), place), self._record
        return Repeater(recipes, partial(record, place, encoding), self._read, self._identifiers)

    def _record(self, place: Place, encoding: Encoding, shape: Shape, data: bytes) -> Recipe | None:
        """Edit an item and note what decides on what becomes of it; None where that cannot be told."""
        recorder, written = Recorder(shape, data), Output()
        before, self._recorder, self._read = (self._read, self._old_charset), recorder, recorder.read
        try:
            self._item(written, shape.item, encoding, place)
            return recorder.recipe(written.spans)
        except NoRecipeError:
            return None
        finally:
            self._recorder, (self._read, self._old_charset) = None, before
