"""What holds for all elements of an object while it is edited.

Public names: ``Context``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.editing.painting.choice import PixelWork
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.private_elements import PrivateBlocks
    from deidflow.tasks.local.editing.table import NamedValue, Table


class Context(NamedTuple):
    """What holds for all elements of a dataset's top level.

    Attributes:
        table: That of the object's SOP class.
        charset: Which its new values are written in.
        nodes: Of the request's paths.
        new_values: Elements to write, by tag, whether they are there or not.
        named: Its values that identify, where the table asks for them.
        private: Its private blocks, where the table asks for them.
        pixels: What is done with its pixels, where the table asks for that.

    """

    table: Table
    charset: CharacterSet
    nodes: tuple[PathNode, ...]
    new_values: dict[int, Value]
    named: frozenset[NamedValue] = frozenset()
    private: PrivateBlocks | None = None
    pixels: PixelWork | None = None
