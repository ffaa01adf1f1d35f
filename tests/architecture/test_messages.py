"""The forms of messages: they say what must be and what to do, never the opposite state, and never half a name.

The texts are read in the source, so that one which no test provokes is held as well.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = tuple(sorted(path for folder in ("tasks", "flows") for path in (ROOT / folder).rglob("*.py")))

# Who takes a text for people.
ERRORS: Final = frozenset(
    {"Problem", "BadText", "TagSyntaxError", "InvalidInput", "UnknownResource", "Unusable", "RequestFault"}
    | {"ValueError"}
)
# Rooms in which each text of several words is one for people, also where it is handed on first.
ROOMS: Final = tuple(
    ROOT / "tasks" / room
    for room in (
        "core/config",
        "core/dicom",
        "core/files",
        "core/manifest",
        "core/plan",
        "core/pseudonyms",
        "core/request",
    )
)
# A state that is wrong ("is 1 or more" of 0), or the middle of a sentence.
_STATE: Final = re.compile(r"(?:is|are|has|have|was|and|holds|says|stands|lacks|takes|names) ")
# Nobody would say it so, or it hides what was looked for.
_UNSAID: Final = re.compile(
    r"there is no such|no such (?:file|folder)|stands? twice|a mistake in|cannot be reached"
    r"|is \S+ or (?:more|less)\b"
)


def _text(node: ast.AST) -> str:
    """Return a literal, with ``{}`` for what is filled in; "" for other nodes."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def _documentation(tree: ast.Module) -> set[int]:
    """Return the texts that are statements: docstrings, and what stands below constants."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every text for people in a module, with its place."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = _documentation(tree) | {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    trees: list[ast.AST] = [tree]
    if not path.is_relative_to(ROOT / "flows") and not any(path.is_relative_to(room) for room in ROOMS):
        trees = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
        ]
    for node in (inner for one in trees for inner in ast.walk(one) if id(inner) not in skipped):
        text = _text(node)
        if len(text.split()) > 2 and not text.startswith(" "):  # what begins with a blank goes on with another text
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text


def test_messages_say_what_must_be() -> None:
    """``must be at least 1``, not ``is 1 or more``: what a text for people begins with, after its key or column."""
    found = {(place, text) for path in MODULES for place, text in _texts(path)}
    assert sorted((place, text) for place, text in found if _STATE.match(text)) == []
    assert sorted((place, text) for place, text in found if _UNSAID.search(text)) == []
    assert sum("must be" in text for _, text in found) > 60  # a reader that finds no texts proves nothing


def test_the_forms_are_told_apart() -> None:
    """The forms that the project had."""
    assert all(
        map(_STATE.match, ("is 1 or more", "has no name; name it", "and source.folder lie one inside the other"))
    )
    assert all(map(_UNSAID.search, ("there is no such file, or it cannot be reached", "stands twice in the header")))
    assert not any(map(_STATE.match, ("must be at least 1", "not found: /data/cohort.csv", "unmatched brace")))
