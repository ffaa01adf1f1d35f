"""What an edit does to each element of one file, and by which rule; for people who decide whether it is right.

Public names: ``Difference``, ``differences``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_element, is_private_number, private_tag
from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SPECIFIC_CHARACTER_SET,
    Path,
    describe_tag,
    format_tag,
)
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT, CharacterSet, character_set
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.private_blocks import private_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.editing.rules import Rules

    Found = dict[Path, tuple[str, int, bytes, Path]]
    """VR, length, first bytes, and the path with private elements by their creators."""

_SHOWN_BYTES = 40


class Difference(NamedTuple):
    """One element before and after.

    Attributes:
        path: Where it stands; items by number.
        vr: In the source, or in the result where it is new.
        rule: What decided.
        old_length: In bytes, None when it is new.
        new_length: In bytes, None when it is gone.
        old_value: The first bytes as text.
        new_value: The first bytes as text.

    """

    path: Path
    vr: str
    rule: str
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


def differences(source: SourceFile, result: bytes, rules: Rules) -> list[Difference]:
    """Compare a file with its edited form, element by element, in the order of tags.

    Args:
        source: The open source.
        result: The whole result.
        rules: What edited it.

    """
    before: Found = dict(_walk(source, source.scan(), Path((), 0), Path((), 0), DEFAULT))
    with SourceFile.of_bytes(result) as edited:
        after: Found = dict(_walk(edited, edited.scan(), Path((), 0), Path((), 0), DEFAULT))
    rows = []
    for path in sorted(before.keys() | after.keys(), key=_order):
        old, new = before.get(path), after.get(path)
        if new is None and any(above not in after for above in _above(path)):
            continue  # gone with the sequence that held it, which has its own line
        vr, _, _, spelled = old or new or ("", 0, b"", path)
        rows.append(
            Difference(
                path,
                vr,
                _rule(path, spelled, old, new, rules),
                old[1] if old else None,
                new[1] if new else None,
                _shown(old),
                _shown(new),
            )
        )
    return rows


def _walk(
    source: SourceFile, elements: list[Element], above: Path, spelled_above: Path, charset: CharacterSet
) -> Iterator[tuple[Path, tuple[str, int, bytes, Path]]]:
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
        yield Path(above.parents, tag), (vr, end - value, source.read(value, min(end, value + _SHOWN_BYTES)), spelled)
        if sequence is not None:
            for index, item in enumerate(sequence[1]):
                inside = Path((*above.parents, (tag, index)), 0)
                spelled_inside = Path((*spelled_above.parents, (name, index)), 0)
                yield from _walk(source, item[4], inside, spelled_inside, charset)


def _order(path: Path) -> tuple[int, ...]:
    return (*(number for step in path.parents for number in step), path.tag)


def _above(path: Path) -> Iterator[Path]:
    for count, (tag, _) in enumerate(path.parents):
        yield Path(path.parents[:count], tag)


def _shown(found: tuple[str, int, bytes, Path] | None) -> str:
    if found is None:
        return ""
    text = found[2].decode("latin-1").rstrip(" \0")
    return "".join(character if character.isprintable() else "." for character in text)


def _rule(  # noqa: PLR0911 (a decision list)
    path: Path, spelled: Path, old: object, new: object, rules: Rules
) -> str:
    named = _named_by_request(path, spelled, rules)
    if named:
        return named
    actions = rules.nested if path.is_nested else rules.top
    action = actions.get(path.tag)
    if action is None:
        action = rules.default_action(path.tag, nested=path.is_nested)
        if action is Action.DROP and new is None:
            return "private elements" if path.tag & 0x10000 else "hardening: curves and overlays"
    if path.tag in (PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD) and not path.is_nested and rules.anonymizes:
        return "mark of de-identification"
    if old == new:
        return "kept"
    if path.tag in IDENTIFIERS and not path.is_nested:
        return "pseudonym"
    if path.tag == PATIENT_NAME or (path.tag == PATIENT_ID and path.is_nested):
        return "hardening: mapped" if path.is_nested else "pseudonym"
    if action is not None:
        return f"profile {rules.request.settings.dicom_version}: {action.value}"
    return "length mended"


def _named_by_request(path: Path, spelled: Path, rules: Rules) -> str:
    edits = rules.request.edits
    for name, paths in (("Keep", edits.keep), ("Replace", edits.replace), ("Remove", edits.remove)):
        if any(_matches(known, path, spelled) for known in paths):
            return name
        above = zip(_above(path), _above(spelled), strict=True) if name == "Replace" else ()
        if any(_matches(known, *one) for one in above for known in paths):
            return name
    tags = (path.tag, spelled.tag)
    if any(not known.is_nested and known.tag in tags for known in edits.remove) and rules.anonymizes:
        return "Remove (at every depth)"
    return ""


def _matches(known: Path, path: Path, spelled: Path) -> bool:
    if known.tag not in (path.tag, spelled.tag) or len(known.parents) != len(path.parents):
        return False
    return all(
        tag in (here, spelled_here) and index in (-1, number)
        for (tag, index), (here, number), (spelled_here, _) in zip(
            known.parents, path.parents, spelled.parents, strict=True
        )
    )
