"""The elements that are named by a path or by a private creator, as a tree of the sequences that lead to them.

Public names: ``PathNode``, ``step_into``, ``rule_of_paths``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deidflow.tasks.local.editing.actions import Action

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.editing.actions import Rule


@dataclass(slots=True)
class PathNode:
    """One step of the paths, merged into a tree.

    Attributes:
        children: By sequence tag: item index (-1 for all) and the node inside.
        rules: What happens to elements that are here.
        replace: Elements to write here, also when they are absent.

    """

    children: dict[int, list[tuple[int, PathNode]]] = field(default_factory=dict)
    rules: dict[int, Rule] = field(default_factory=dict)
    replace: dict[int, Value] = field(default_factory=dict)

    def add(self, tag: int, rule: Rule) -> None:
        """Add a rule; of several for one element that of the highest rank counts, else the first."""
        known = self.rules.get(tag)
        if known is None or rule.rank > known.rank:
            self.rules[tag] = rule

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

    @property
    def edits(self) -> bool:
        """Whether a path ends here that changes something."""
        return bool(self.replace) or any(rule.action is not Action.KEEP for rule in self.rules.values())


def step_into(nodes: tuple[PathNode, ...], tag: int, index: int) -> tuple[PathNode, ...]:
    """Return the nodes of the paths that lead into one item of a sequence."""
    return tuple(child for node in nodes for known, child in node.children.get(tag, ()) if known in (-1, index))


def rule_of_paths(tag: int, nodes: tuple[PathNode, ...], otherwise: Rule | None = None) -> Rule | None:
    """Return what the paths that end here say of an element, by rank; or what holds otherwise."""
    found = None
    for node in nodes:
        rule = node.rules.get(tag)
        if rule is not None and (found is None or rule.rank > found.rank):
            found = rule
    return found or otherwise
