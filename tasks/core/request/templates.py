"""``{column}`` in the strings of the config's ``Replace``: filled per row from the manifest's free columns.

``{{`` and ``}}`` are braces. There is nothing else: no formats, conversions or attributes as in Python's own templates.

Public names: ``Template``, ``parse_template``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import BadText

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.edits import Value

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FORMAT_CHARACTERS: Final = frozenset(".[]:!")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A value of ``Replace`` that may have holes.

    Attributes:
        columns: The free columns it needs, in the order of their first use; empty for a constant.

    """

    columns: tuple[str, ...]
    _parts: tuple[str | _Column, ...]
    _items: tuple[tuple[tuple[int, Template], ...], ...] | None = None

    def fill(self, cells: Mapping[str, str]) -> Value:
        """Return the value for one row.

        Args:
            cells: Texts of the free columns by name; those in ``columns`` are enough.

        Raises:
            BadText: A needed cell is missing, empty or all blanks (a blank PatientID would merge strangers).

        """
        if self._items is not None:
            return tuple(tuple((tag, template.fill(cells)) for tag, template in item) for item in self._items)
        texts = []
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            cell = cells.get(part.name, "")
            if not cell.strip():
                text = f"the config's Replace uses {{{part.name}}}, so this cell must not be empty"
                raise BadText(text, column=part.name)
            texts.append(cell)
        return "".join(texts)


def parse_template(value: Value) -> Template:
    """Read a value of the config's ``Replace``, nested ones too.

    Raises:
        BadText: A brace stands alone, a name is empty, or it is written with a format.

    """
    if isinstance(value, str):
        parts = tuple(_parse_text(value))
        columns = dict.fromkeys(part.name for part in parts if isinstance(part, _Column))
        return Template(tuple(columns), parts)
    items = tuple(tuple((tag, parse_template(inner)) for tag, inner in item) for item in value)
    columns = dict.fromkeys(column for item in items for _, template in item for column in template.columns)
    return Template(tuple(columns), (), items)


def _parse_text(text: str) -> list[str | _Column]:
    parts: list[str | _Column] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            parts.append(text[end : token.start()])
        end = token.end()
        if token[0] in ("{{", "}}"):
            parts.append(token[0][0])
        elif token[1] is None:
            raise BadText("unmatched brace; write {column} for a cell, {{ or }} for a brace")
        else:
            parts.append(_Column(_parse_name(token[1])))
    if end < len(text):
        parts.append(text[end:])
    return parts


def _parse_name(text: str) -> str:
    name = text.strip()
    if not name:
        raise BadText("{} must hold the name of a column; write {column} for a cell, {{}} for braces")
    if not _FORMAT_CHARACTERS.isdisjoint(name):
        raise BadText(
            f"{{{name}}} must hold the name of a column alone, without . : ! [ ] "
            "(rename a column whose name has one of these)"
        )
    return name
