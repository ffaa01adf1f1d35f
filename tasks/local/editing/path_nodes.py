"""The nested elements that a request names, as a tree of the sequences that lead to them.

Public names: ``PathNode``, ``step_into``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value


@dataclass(slots=True)
class PathNode:
    """One step of the paths that a request names, merged into a tree.

    Attributes:
        children: By sequence tag: item index (-1 for all) and the node inside.
        keep: Elements to protect here.
        remove: Elements to drop here.
        replace: Elements to write here, also when they are absent.

    """

    children: dict[int, list[tuple[int, PathNode]]] = field(default_factory=dict)
    keep: set[int] = field(default_factory=set)
    remove: set[int] = field(default_factory=set)
    replace: dict[int, Value] = field(default_factory=dict)

    def step(self, parents: tuple[tuple[int, int], ...]) -> PathNode:
        """Return the node at the end of the steps, making what is missing."""
        node = self
        for tag, index in parents:
            branches = node.children.setdefault(tag, [])
            for known, child in branches:
                if known == index:
                    node = child
                    break
            else:
                child = PathNode()
                branches.append((index, child))
                node = child
        return node


def step_into(nodes: tuple[PathNode, ...], tag: int, index: int) -> tuple[PathNode, ...]:
    """Return the nodes of the paths that lead into one item of a sequence."""
    return tuple(child for node in nodes for known, child in node.children.get(tag, ()) if known in (-1, index))
