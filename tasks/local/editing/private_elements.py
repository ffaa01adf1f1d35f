"""Private elements as a profile judges them: by their creator, and by what the object says of its private blocks.

Each dataset hands out its own blocks (PS3.5 section 7.8.1), so a table cannot have rules for their numbers. The Private
Data Element Characteristics Sequence (0008,0300) at the top level speaks of all blocks of an object, at any depth
(PS3.3 section C.12.1.1.7). All of edition 2026d.

Public names: ``PrivateElement``, ``PrivateRules``, ``PrivateBlocks``, ``Statement``, ``CHARACTERISTICS``.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from deidflow.tasks.core.dicom.private_tags import is_creator
from deidflow.tasks.local.editing.private_blocks import private_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Item, Read
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.editing.actions import Rule

CHARACTERISTICS: Final = 0x00080300
_GROUP: Final = 0x00080301
_CREATOR: Final = 0x00080302
_STATUS: Final = 0x00080303
_NONIDENTIFYING: Final = 0x00080304
_ACTIONS: Final = 0x00080305
_IDENTIFYING: Final = 0x00080306
_ACTION: Final = 0x00080307
_SAFE: Final = "SAFE"
_KNOWN_ACTIONS: Final = frozenset("DZXU")


class Statement(NamedTuple):
    """What an object says of the elements of one private block.

    Attributes:
        is_safe: Whether nothing in the block identifies anybody.
        actions: By element (0x00 to 0xFF): K for one that does not identify, else what is to be done: D, Z, X or U.

    """

    is_safe: bool
    actions: Mapping[int, str]

    def of(self, element: int) -> str:
        """Return K, D, Z, X or U, "" where nothing is said."""
        return self.actions.get(element, "K" if self.is_safe else "")


class PrivateElement(NamedTuple):
    """A private element, whichever block it has.

    Attributes:
        group: Odd.
        creator: Of its block, without padding.
        element: In its block, 0x00 to 0xFF.
        vr: As it stands in the file; SQ for whatever has items.
        said: What the object says of it, see ``Statement.of``.

    """

    group: int
    creator: str
    element: int
    vr: str
    said: str


class PrivateRules(Protocol):
    """Rules for private elements that may stay; those without one get that of their scope."""

    def rule_of(self, element: PrivateElement) -> Rule | None:
        """Return what happens to an element."""

    def rule_of_creator(self, group: int, creator: str, *, is_stated: bool) -> Rule | None:
        """Return what happens to the element that reserves a block, by its value.

        Args:
            group: Odd.
            creator: Without padding.
            is_stated: Whether the object says of a block of that creator that something in it may stay.

        """


class PrivateBlocks(NamedTuple):
    """The private blocks of one dataset, as a profile judges them.

    Attributes:
        rules: Of the profile.
        creators: By the tag of the element that reserves a block.
        statements: What the object says of its blocks.

    """

    rules: PrivateRules
    creators: Mapping[int, str]
    statements: Mapping[tuple[int, str], Statement]

    @classmethod
    def of_object(
        cls, rules: PrivateRules, elements: Iterable[Element], read: Read, charset: CharacterSet
    ) -> PrivateBlocks:
        """Return the blocks of an object's top level, and what it says of all of them."""
        return cls(rules, _creators(elements, read, charset), _statements(elements, read, charset))

    def of_item(self, elements: Iterable[Element], read: Read, charset: CharacterSet) -> PrivateBlocks:
        """Return the blocks of an item of the same object."""
        return self._replace(creators=_creators(elements, read, charset))

    def up_to(self, last: int, tail: Iterable[Element], read: Read, charset: CharacterSet) -> PrivateBlocks:
        """Return the same with the blocks that are reserved behind a tag by other elements."""
        creators = {tag: creator for tag, creator in self.creators.items() if tag <= last}
        return self._replace(creators=creators | _creators(tail, read, charset))

    def rule_of(self, tag: int, vr: str) -> Rule | None:
        """Return what happens to a private element, None where its scope decides.

        Args:
            tag: The plain tag.
            vr: As in ``PrivateElement``.

        """
        creators, group = self.creators, tag >> 16
        if not creators:
            return None
        if is_creator(tag):
            creator = creators.get(tag)
            if creator is None:
                return None
            statement = self.statements.get((group, creator))
            is_stated = statement is not None and (statement.is_safe or bool(statement.actions))
            return self.rules.rule_of_creator(group, creator, is_stated=is_stated)
        creator = creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
        if creator is None:
            return None
        statement = self.statements.get((group, creator))
        said = statement.of(tag & 0xFF) if statement is not None else ""
        return self.rules.rule_of(PrivateElement(group, creator, tag & 0xFF, vr, said))


def _creators(elements: Iterable[Element], read: Read, charset: CharacterSet) -> dict[int, str]:
    """Return the creators of one dataset; a block that two elements reserve is nobody's."""
    private = [element for element in elements if element[0] & 0x10000]
    if not private:
        return {}
    times = Counter(element[0] for element in private if is_creator(element[0]))
    blocks = private_blocks(private, read, charset)
    creators = {group << 16 | block: creator for (group, creator), found in blocks.items() for block in found}
    return {tag: creator for tag, creator in creators.items() if times[tag] == 1}


def _statements(elements: Iterable[Element], read: Read, charset: CharacterSet) -> dict[tuple[int, str], Statement]:
    """Return what an object says of its private blocks; where it contradicts itself the stricter word counts.

    Args:
        elements: Of the top level.
        read: Reads bytes of the file.
        charset: Of the top level.

    """
    found: dict[tuple[int, str], Statement] = {}
    for tag, _, _, _, _, sequence in elements:
        if tag == CHARACTERISTICS and sequence is not None:
            encoding, items = sequence
            for item in items:
                _take(found, item, encoding, read, charset)
        if tag > CHARACTERISTICS:
            break
    return found


def _take(
    found: dict[tuple[int, str], Statement], item: Item, encoding: Encoding, read: Read, charset: CharacterSet
) -> None:
    values = {tag: (read(value, end), sequence) for tag, _, _, value, end, sequence in item[4]}
    groups = _numbers(values.get(_GROUP), encoding)
    creator = charset.decode(values.get(_CREATOR, (b"", None))[0]).strip(" \0")
    if len(groups) != 1 or not creator:
        return
    is_safe = values.get(_STATUS, (b"", None))[0].strip(b" \0") == _SAFE.encode()
    actions = dict.fromkeys(_numbers(values.get(_NONIDENTIFYING), encoding), "K")
    inner_encoding, listed = values.get(_ACTIONS, (b"", None))[1] or (encoding, ())
    for one in listed:
        inner = {tag: (read(value, end), sequence) for tag, _, _, value, end, sequence in one[4]}
        action = inner.get(_ACTION, (b"", None))[0].strip(b" \0").decode("latin-1")
        for element in _numbers(inner.get(_IDENTIFYING), inner_encoding):
            actions[element] = action if action in _KNOWN_ACTIONS else "X"
    before = found.get((groups[0], creator))
    if before is not None:  # a second item of the same block
        is_safe = is_safe and before.is_safe
        actions = {
            element: actions[element] if before.actions.get(element, "K") == "K" else before.actions[element]
            for element in actions
            if element in before.actions
        } | {element: action for element, action in {**before.actions, **actions}.items() if action != "K"}
    found[groups[0], creator] = Statement(is_safe, actions)


def _numbers(found: tuple[bytes, object] | None, encoding: Encoding) -> tuple[int, ...]:
    data = found[0] if found is not None else b""
    return struct.unpack(f"{encoding.prefix}{len(data) // 2}H", data[: len(data) // 2 * 2])
