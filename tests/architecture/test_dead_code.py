"""Nothing in the product is there for tests alone: each function, class and constant is named by the product itself."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.architecture.test_arrows import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator

FOR_OTHERS: Final = frozenset({"BulkRoutes", "bulk_modify", "bulk_anonymize", "model_post_init", "format_commands"})
"""What others call: the library as README.md offers it, and what pydantic asks a model for, click a group."""

FOR_DOCUMENTS: Final = frozenset({"MANIFEST_COLUMNS"})
"""What a document is held against."""


def _defined(tree: ast.Module) -> Iterator[str]:
    """Yield what a module defines, but for what a decorator hands on and names that Python itself asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("__"):
            handed_on = [ast.unparse(one) for one in node.decorator_list if ast.unparse(one) != "property"]
            if isinstance(node, ast.ClassDef) or not any("command" in one for one in handed_on):
                yield node.name
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        yield from (one.id for one in targets if isinstance(one, ast.Name) and not one.id.startswith("__"))


def _named(tree: ast.Module) -> Iterator[str]:
    """Yield what a module reads or calls; an import alone is no use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def test_nothing_is_there_for_tests_alone() -> None:
    """What only tests name is tested in vain: what the product calls instead has no test."""
    trees = [(module.name, module.tree()) for module in MODULES]
    named = Counter(name for _, tree in trees for name in _named(tree))
    dead = {
        f"{module}.{name}"
        for module, tree in trees
        for name in _defined(tree)
        if not named[name] and name not in FOR_OTHERS | FOR_DOCUMENTS
    }

    assert set() == dead


def test_what_is_excused_is_there_and_needs_it() -> None:
    """An excuse goes with what it was for."""
    trees = [module.tree() for module in MODULES]
    named = {name for tree in trees for name in _named(tree)}
    defined = {name for tree in trees for name in _defined(tree)}
    excused = FOR_OTHERS | FOR_DOCUMENTS

    assert excused <= defined
    assert set() == excused & named
