"""What an edit does to each element of one file, and by which rule; for people who decide whether it is right.

Public names: ``Difference``, ``differences``.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_element, creator_of, is_private_number, private_tag
from deidflow.tasks.core.dicom.tags import (
    SPECIFIC_CHARACTER_SET,
    Path,
    describe_tag,
    dictionary_vr,
    format_tag,
    is_private,
)
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT, CharacterSet, character_set
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.item_texts import declared_charset
from deidflow.tasks.local.editing.painting.choice import pixel_work
from deidflow.tasks.local.editing.painting.image_layout import PIXEL_TAGS
from deidflow.tasks.local.editing.path_nodes import rule_of_paths, step_into
from deidflow.tasks.local.editing.private_blocks import private_blocks
from deidflow.tasks.local.editing.private_elements import PrivateBlocks
from deidflow.tasks.local.editing.splice import sop_class_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.table import Scope, Table, Tables

    FoundElement = tuple[str, int, str, Path, bytes]
    """VR, length, how the value is shown, the path with private elements by their creators, and a digest of the value;
    of a sequence, whose items are elements of their own, no value."""
    Found = dict[Path, FoundElement]

_SHOWN_BYTES = 64  # an LO has no more, so that the name of a private creator is whole
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_KEPT = "kept"
_GIVEN = "Replace"
_PAINTED = "clean-pixel-data"
_NO_IMAGE = "cleared of what is no image"
"""Of pixel data: comments in its frames, what stands behind them, overlays in its bits."""


class Difference(NamedTuple):
    """One element before and after.

    Attributes:
        path: Where it stands; items by number.
        vr: In the source, or in the result where it is new.
        rule: What decided.
        is_kept: Whether it stays as it is; of a sequence, as far as its items tell nothing else.
        old_length: In bytes, None when it is new.
        new_length: In bytes, None when it is gone.
        old_value: As text, its beginning where it is long.
        new_value: Likewise.

    """

    path: Path
    vr: str
    rule: str
    is_kept: bool
    old_length: int | None
    new_length: int | None
    old_value: str
    new_value: str

    def line(self, *, show_values: bool) -> str:
        """Return one line: tag, keyword, what happened, rule, VR and lengths; values only when asked for."""
        indent = "  " * len(self.path.parents)
        lengths = f"{_length(self.old_length)} -> {_length(self.new_length)}"
        text = f"{indent}{format_tag(self.path.tag)} {describe_tag(self.path.tag)}"
        text = f"{text:<58} {self.vr:<2} {lengths:<20} {self.rule}"
        if show_values and self.vr != "SQ":
            text += f"   [{self.old_value}] -> [{self.new_value}]"
        return text


def _length(length: int | None) -> str:
    return "absent" if length is None else str(length)


def differences(source: SourceFile, result: bytes, tables: Tables) -> list[Difference]:
    """Compare a file with its edited form, element by element, in the order of tags.

    Args:
        source: The open source.
        result: The whole result.
        tables: What edited it.

    """
    elements = source.scan()
    table = tables.of_class((sop_class_of(source, elements) or b"").decode("latin-1").strip(" \0"))
    table, pixels = pixel_work(table, source, elements)
    painted = {*PIXEL_TAGS, *pixels.values} - table.values.keys() if pixels is not None and pixels.paints else ()
    before: Found = dict(_walk(source, elements, Path((), 0), Path((), 0), DEFAULT, source.layout.encoding))
    with SourceFile.of_bytes(result) as edited:
        scanned = edited.scan()
        after: Found = dict(_walk(edited, scanned, Path((), 0), Path((), 0), DEFAULT, edited.layout.encoding))
    charset = declared_charset(elements, source.read) or DEFAULT
    rules = table.private
    private = PrivateBlocks.of_object(rules, elements, source.read, charset) if rules is not None else None
    rows = []
    for path in sorted(before.keys() | after.keys(), key=_order):
        old, new = before.get(path), after.get(path)
        if new is None and any(above not in after for above in _above(path)):
            continue  # gone with the sequence that held it, which has its own line
        vr, _, _, spelled, _ = old or new or ("", 0, "", path, b"")
        by_pixels = path.tag in painted and not path.parents and new is not None and old != new
        rows.append(
            Difference(
                path,
                vr,
                _PAINTED if by_pixels else _decision(path, spelled, old, new, table, private),
                old == new,
                old[1] if old else None,
                new[1] if new else None,
                old[2] if old else "",
                new[2] if new else "",
            )
        )
    return rows


def _walk(
    source: SourceFile,
    elements: Sequence[Element],
    above: Path,
    spelled_above: Path,
    charset: CharacterSet,
    encoding: Encoding,
) -> Iterator[tuple[Path, FoundElement]]:
    for tag, _, _, value, end, _ in elements:
        if tag == SPECIFIC_CHARACTER_SET:
            charset = character_set(source.read(value, end))
    creators = {
        group << 16 | block: creator
        for (group, creator), blocks in private_blocks(elements, source.read, charset).items()
        for block in blocks
    }
    for tag, vr, _, value, end, sequence in elements:
        creator = creators.get(creator_element(tag), "") if is_private_number(tag) else ""
        name = private_tag(tag, creator) if creator else tag
        spelled = Path(spelled_above.parents, name)
        content = b"" if sequence is not None else source.read(value, end)
        digest = sha256(content).digest()
        shown = _shown(vr or dictionary_vr(tag) or "", content[:_SHOWN_BYTES], charset, encoding)
        yield Path(above.parents, tag), (vr, end - value, shown, spelled, digest)
        if sequence is not None:
            for index, item in enumerate(sequence[1]):
                inside = Path((*above.parents, (tag, index)), 0)
                spelled_inside = Path((*spelled_above.parents, (name, index)), 0)
                yield from _walk(source, item[4], inside, spelled_inside, charset, sequence[0])


def _order(path: Path) -> tuple[int, ...]:
    return (*(number for step in path.parents for number in step), path.tag)


def _above(path: Path) -> Iterator[Path]:
    for count, (tag, _) in enumerate(path.parents):
        yield Path(path.parents[:count], tag)


def _shown(vr: str, content: bytes, charset: CharacterSet, encoding: Encoding) -> str:
    """Return the beginning of a value as people read it, numbers as such."""
    vr = vr.partition(" or ")[0]
    if vr in _NUMBERS:
        form = f"{encoding.prefix}{_NUMBERS[vr]}"
        whole = len(content) // struct.calcsize(form) * struct.calcsize(form)
        return "\\".join(_number(number, vr) for (number,) in struct.iter_unpack(form, content[:whole]))
    text = charset.decode(content, is_person_name=vr == "PN").rstrip(" \0")
    return "".join(character if character.isprintable() else "." for character in text)


def _number(number: float, vr: str) -> str:
    return f"{number:.7g}" if vr == "FL" else str(number)  # of what has 32 bits more digits mean nothing


def _decision(
    path: Path,
    spelled: Path,
    old: FoundElement | None,
    new: FoundElement | None,
    table: Table,
    private: PrivateBlocks | None,
) -> str:
    """Return what decided on an element, in the words of its rule; of one that stays by a rule, too."""
    nodes: tuple[PathNode, ...] = (table.paths,) if table.paths else ()
    scope, is_kept, within = table.top, False, None
    values: Container[int] = table.values
    for (tag, index), (name, _) in zip(path.parents, spelled.parents, strict=True):
        if tag in values or _has_value((tag, name), nodes):
            # Inside a sequence that is given as a whole: by the request, or by what gives it to every result.
            by_tag = None if _has_value((tag, name), nodes) else scope.by_tag.get(tag)
            return _GIVEN if by_tag is None else by_tag.origin
        above = _rule_of((tag, name), "SQ", scope, nodes)
        within = above or within
        is_kept = is_kept or (above is not None and above.action is Action.KEEP)
        nodes = step_into(nodes, tag, index) + (step_into(nodes, name, index) if name != tag else ())
        nodes += () if is_kept else table.everywhere
        scope, values = table.shielded if is_kept else scope.items.get(tag) or scope.others or table.nested, ()
    if _has_value((path.tag, spelled.tag), nodes):
        return _GIVEN
    if private is not None and old is not None and is_private(path.tag):
        own = {creator_element(path.tag): creator_of(spelled.tag), path.tag: old[2]}
        by_creator = private._replace(creators=own).rule_of(path.tag, old[0])
        scope = scope if by_creator is None else replace(scope, by_tag={path.tag: by_creator})
    rule = _rule_of((path.tag, spelled.tag), old[0] if old else "", scope, nodes, is_gone=new is None)
    if rule is None:
        return _KEPT if old == new else _without_rule(path.tag, old, new, within)
    if rule.is_named or old != new:
        return rule.origin
    # A rule that removes and did not is not what decided: the element reserves a block of one that stays.
    return _KEPT if rule.of_the_run or rule.removes else f"{_KEPT}: {rule.origin}"


def _without_rule(tag: int, old: FoundElement | None, new: FoundElement | None, within: Rule | None) -> str:
    """Say why an element that no rule concerns is not as it was; ``within`` is that of the sequence around it."""
    if tag in PIXEL_TAGS:
        return _NO_IMAGE
    if within is None or (old is not None and new is not None and old[0] == "SQ"):
        return "length mended"
    return within.origin  # the sequence got other items as a whole


def _has_value(tags: tuple[int, int], nodes: tuple[PathNode, ...]) -> bool:
    return any(tag in node.replace for node in nodes for tag in tags)


def _rule_of(
    tags: tuple[int, int], vr: str, scope: Scope, nodes: tuple[PathNode, ...], *, is_gone: bool = False
) -> Rule | None:
    """Return the rule for an element by its tag and its name by creator; one to keep it does not hold if it is gone."""
    rule = rule_of_paths(tags[0], nodes) or rule_of_paths(tags[1], nodes)
    if rule is None or (is_gone and rule.action is Action.KEEP):
        rule = scope.by_tag.get(tags[0]) or scope.rule_of_kind(tags[0], vr) or scope.by_vr.get(vr)
    return rule
