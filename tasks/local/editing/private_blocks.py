"""Where the private elements that a request names by their creator stand in one dataset.

Each dataset, every item among them, hands out its own blocks (PS3.5 section 7.8.1, edition 2026c), so the request's
names are turned into plain tags dataset by dataset. Where no block belongs to the creator nothing is named, and where
a plain number surely means another creator's element it is not kept.

Public names: ``private_blocks``, ``with_plain_tags``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.datadict import private_dictionary_VR

from deidflow.tasks.core.dicom.private_tags import creator_element, creator_of, in_block, is_creator, is_private_number
from deidflow.tasks.local.editing.actions import Action, Rule
from deidflow.tasks.local.editing.path_nodes import PathNode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read

    Blocks = Mapping[tuple[int, str], list[int]]

_MAX_CREATOR_BYTES: Final = 1 << 10
"""64 characters in any character set, with its escape sequences."""

_CREATOR: Final = Rule(Action.KEEP, "private creator of an element that stays")


def private_blocks(elements: Iterable[Element], read: Read, charset: CharacterSet) -> dict[tuple[int, str], list[int]]:
    """Return the blocks of each creator, by group and creator, in the order of the file.

    An element that stands twice counts once, the first one, as everywhere (docs/decisions/0010).

    Args:
        elements: Of one dataset, not of the items in it.
        read: Reads bytes of the file.
        charset: Of the dataset.

    """
    blocks: dict[tuple[int, str], list[int]] = {}
    met: set[int] = set()
    for tag, _, _, value, end, sequence in elements:
        if not is_creator(tag) or tag in met:
            continue
        met.add(tag)
        if sequence is None and end - value <= _MAX_CREATOR_BYTES:
            creator = charset.decode(read(value, end)).strip(" \0")
            blocks.setdefault((tag >> 16, creator), []).append(tag & 0xFFFF)
    return blocks


def with_plain_tags(
    nodes: tuple[PathNode, ...], elements: Collection[Element], read: Read, charset: CharacterSet
) -> tuple[PathNode, ...]:
    """Return the request's paths as they read in one dataset.

    Where an element is kept or replaced, the element that reserves its block is kept, too: without it nobody knows what
    the element is. A creator with several blocks is meant in all of them; a new element goes into the first.

    Args:
        nodes: Of the paths that lead here, with names by creator.
        elements: Of the dataset.
        read: Reads bytes of the file.
        charset: Of the dataset.

    """
    blocks = private_blocks(elements, read, charset)
    present = frozenset(element[0] for element in elements)
    return tuple(_read_here(node, blocks, present) for node in nodes)


def _read_here(node: PathNode, blocks: Blocks, present: frozenset[int]) -> PathNode:
    here = PathNode()
    for tag, rule in node.rules.items():
        places = _places(tag, blocks)
        if not rule.removes:
            if is_private_number(tag) and not _is_meant(tag, blocks):
                continue
            places = [place for place in places if place in present or not creator_of(tag)]
            _keep_blocks(here, tag, places)
        for place in places:
            here.add(place, rule)
    for tag, value in node.replace.items():
        places = _places(tag, blocks)
        if creator_of(tag):
            places = [place for place in places if place in present] or places[:1]
            _keep_blocks(here, tag, places)
        here.replace.update(dict.fromkeys(places, value))
    for tag, branches in node.children.items():
        for place in _places(tag, blocks):
            here.children.setdefault(place, []).extend(branches)
    return here


def _keep_blocks(here: PathNode, tag: int, places: Iterable[int]) -> None:
    """Keep the elements that reserve the blocks of an element that is named by its creator."""
    if creator_of(tag):
        for place in places:
            here.add(creator_element(place), _CREATOR)


def _is_meant(tag: int, blocks: Blocks) -> bool:
    """Whether a private element may be the one that a plain number means, as far as the file tells.

    Blocks move from file to file. Where the block belongs to a creator of whom nobody knows such an element, and
    another creator of the group is known for it, the number was taken from a file in which that one had the block.
    """
    group = tag >> 16
    owner = next((creator for (of, creator), found in blocks.items() if of == group and tag >> 8 & 0xFF in found), "")
    return _is_known(tag, owner) or not any(_is_known(tag, creator) for of, creator in blocks if of == group)


def _is_known(tag: int, creator: str) -> bool:
    """Whether pydicom's private dictionary has an element of a creator, in whichever block it is there."""
    try:
        private_dictionary_VR(tag, creator)
    except KeyError:
        return False
    return True


def _places(tag: int, blocks: Blocks) -> list[int]:
    creator = creator_of(tag)
    if not creator:
        return [tag]
    return [in_block(tag, block) for block in blocks.get((tag >> 16 & 0xFFFF, creator), ())]
