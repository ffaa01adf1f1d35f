"""The ledger has an interface: SQL stands in its room only, and its facts are written and read by their names."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.ledger.run_facts import RunFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
LEDGER: Final = ROOT / "tasks" / "core" / "ledger"
PATHS: Final = sorted(path for top in ("flows", "tasks") for path in (ROOT / top).rglob("*.py"))
OTHERS: Final = [path for path in PATHS if LEDGER not in path.parents]
METHODS: Final = {"execute", "execute_many", "executemany", "executescript", "select", "scalar"}
SQL: Final = re.compile(
    r"\s*(SELECT\s|INSERT\s+(OR\s|INTO\s)|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|(CREATE|DROP)\s+(TEMP\s+)?(TABLE|VIEW|INDEX)"
    r"|PRAGMA\s|WITH\s+\w+\s+AS\s)"
)


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield every constant text of a module, also those inside f-strings."""
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_sql_stands_in_the_ledger_only() -> None:
    """No statement, no cursor and no SQLite elsewhere."""
    found = []
    for path in OTHERS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        called = {n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        wrong = [*(called & METHODS), *(imported & {"sqlite3"}), *(text for text in texts(tree) if SQL.match(text))]
        found += [(str(path.relative_to(ROOT)), what) for what in wrong]

    assert [] == found


def test_the_rule_sees_what_it_is_for() -> None:
    """The ledger itself breaks it in every module with statements."""
    found = [
        path.name for path in LEDGER.glob("*.py") if any(SQL.match(text) for text in texts(ast.parse(path.read_text())))
    ]

    assert {"chunks.py", "journal.py", "planning.py", "report_queries.py", "results.py", "run_facts.py"} <= set(found)


def test_no_statement_takes_a_text_apart() -> None:
    """A reason's code is a column: nothing looks for it in a text."""
    for path in LEDGER.rglob("*.py"):
        found = [
            text for text in texts(ast.parse(path.read_text())) if re.search(r"\bLIKE\b|\bGLOB\b|\bsubstr\(", text)
        ]
        assert [] == found, path.name


def test_every_fact_is_written_and_read() -> None:
    """By the program itself: given as a keyword to ``replace`` somewhere, and read as an attribute somewhere."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PATHS]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    written = {
        keyword.arg
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "replace"
        for keyword in node.keywords
    }
    read = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and "facts" in ast.unparse(node.value)
    }
    names = {one.name for one in fields(RunFacts)}

    assert set() == names - written
    assert set() == names - read
