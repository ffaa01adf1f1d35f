"""What a worker remembers of items: their shapes, and what becomes of each where it stands.

Nothing is guessed: a result is the same as without this module (tests/local/editing/test_repeated_items.py).

Public names: ``SharedItems``, ``Recipes``, ``Repeater``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.item_shapes import ItemShapes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from deidflow.tasks.local.dicom_file.elements import Item, Read
    from deidflow.tasks.local.dicom_file.item_shapes import Shape
    from deidflow.tasks.local.editing.items.recipes import Recipe
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Output

_MAX_CASES: Final = 8
"""Recipes of one shape in one place: where other values decide on each item, it is edited as ever."""

_MAX_RECIPES: Final = 4096
"""In all; with more, all are forgotten."""


class Recipes:
    """The recipes for one place: equal rules, character sets and encoding."""

    __slots__ = ("_by_shape", "_count", "_holds")

    def __init__(self, holds: object, count: list[int]) -> None:
        """Take what the name of the place refers to, so that no other object gets its identity; and a shared count."""
        self._holds = holds
        self._count = count
        self._by_shape: dict[Shape, list[Recipe | None]] = {}

    def fitting(self, shape: Shape, data: bytes) -> Recipe | None:
        """Return the recipe for an item, None where there is none."""
        for recipe in self._by_shape.get(shape, ()):
            if recipe is not None and recipe.fits(data):
                return recipe
        return None

    def takes_more(self, shape: Shape) -> bool:
        """Whether another recipe for a shape is to be made."""
        known = self._by_shape.get(shape, ())
        return len(known) < _MAX_CASES and None not in known

    def add(self, shape: Shape, recipe: Recipe | None) -> None:
        """Remember a recipe, or that there can be none."""
        self._by_shape.setdefault(shape, []).append(recipe)
        self._count[0] += 1


class SharedItems:
    """The memory of one worker for one request.

    Attributes:
        shapes: Of items.

    """

    __slots__ = ("_by_place", "_count", "shapes")

    def __init__(self) -> None:
        """Begin without any."""
        self.shapes = ItemShapes()
        self._by_place: dict[Hashable, Recipes] = {}
        self._count = [0]

    def recipes(self, place: Hashable, holds: object) -> Recipes | None:
        """Return the recipes for a place, None for a place without a name.

        Args:
            place: Names all that decides beside the item itself.
            holds: The objects whose identities stand in the name.

        """
        if place is None:
            return None
        found = self._by_place.get(place)
        if found is None:
            if self._count[0] > _MAX_RECIPES:
                self._by_place.clear()
                self._count = [0]
            found = self._by_place[place] = Recipes(holds, self._count)
        return found


class Repeater:
    """Writer of items in one place of one file."""

    __slots__ = ("_identifiers", "_read", "_recipes", "_record")

    def __init__(
        self,
        recipes: Recipes | None,
        record: Callable[[Shape, bytes], Recipe | None],
        read: Read,
        identifiers: InstanceIdentifiers,
    ) -> None:
        """Take what is known.

        Args:
            recipes: For the place; None where each item is edited for itself.
            record: Makes one of a shape and the bytes of an item, None where that cannot be done.
            read: Reads bytes of the file.
            identifiers: The instance.

        """
        self._recipes, self._record = recipes, record
        self._read, self._identifiers = read, identifiers

    def write(self, written: Output, item: Item, shape: Shape) -> bool:
        """Write an item as others of its shape; return whether that is possible."""
        if self._recipes is None:
            return False
        start, end = item[0], item[3]
        data = self._read(start, end)
        recipe = self._recipes.fitting(shape, data)
        try:
            if recipe is None:
                if len(data) != shape.size or not self._recipes.takes_more(shape):
                    return False
                recipe = self._record(shape, data)
                self._recipes.add(shape, recipe)
                if recipe is None:
                    return False
            result = recipe.result(data, self._identifiers)
        except InstanceFailed:
            return False  # it is edited in full: which of several faults is told must not depend on what is remembered
        if result is None:
            written.span(start, end)
        else:
            written.spans.append(result)
        return True
