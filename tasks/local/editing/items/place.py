"""Where in a file a dataset stands that is edited.

Public names: ``Place``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.private_elements import PrivateBlocks
    from deidflow.tasks.local.editing.table import Scope, Table


class Place(NamedTuple):
    """What a dataset inherits from above.

    Attributes:
        table: Of the object.
        charset: Of its new values, unless it declares another.
        nodes: Of the request's paths that lead here.
        depth: 0 at top level.
        scope: Rules for it.
        shielded: Whether a kept sequence holds it.
        private: Its private blocks, where the table asks for them.

    """

    table: Table
    charset: CharacterSet
    nodes: tuple[PathNode, ...]
    depth: int
    scope: Scope
    shielded: bool = False
    private: PrivateBlocks | None = None

    def name(self, old_charset: CharacterSet | None, encoding: Encoding) -> Hashable:
        """Return all that decides on an item here, beside the item; None where an object of its own decides, too.

        It names objects by their identity, so it lasts as long as these. The depth decides at top level only.

        Args:
            old_charset: That values of the dataset are written in, where it is another one.
            encoding: Of the items.

        """
        table, charset, nodes, _, scope, shielded, private = self
        if table.names_creators or (private is not None and private.statements):
            return None
        return id(table), charset, old_charset, tuple(map(id, nodes)), id(scope), shielded, encoding
