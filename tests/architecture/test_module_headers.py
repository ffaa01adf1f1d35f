"""The list of public names in the docstring of a module is that of the module."""

from __future__ import annotations

import ast
import re
from typing import Final

from tests.architecture.test_arrows import Module, each_module

_LIST: Final = re.compile(r"^Public names?:(.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)


@each_module
def test_public_names(module: Module) -> None:
    """What others may call is all there, but for what a decorator makes a command; constants may be left out."""
    tree = module.tree()
    found = _LIST.search(ast.get_docstring(tree) or "")
    if found is None:
        return
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    definitions = [node for node in tree.body if isinstance(node, kinds)]
    constants = {
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
    }
    commands = {node.name for node in definitions if any("cli.command" in ast.unparse(d) for d in node.decorator_list)}
    public = {node.name for node in definitions if not node.name.startswith("_")} - commands
    listed = set(re.findall(r"``(\w+)``", found[1]))

    assert sorted(public - listed) == []
    assert sorted(listed - public - constants) == []
