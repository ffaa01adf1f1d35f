"""Every exception of the project stands in the tree that ``tasks/core/errors.py`` draws, and travels as it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core import errors
from deidflow.tasks.core.errors import DeidflowError, Problem
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.processes.pool import make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]

# What the classes take that take anything else than a text.
ARGUMENTS: Final[dict[str, tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "InvalidInput": (([Problem("must be at least 1", "a.yaml", 3, key="execution.workers")],), {}),
    "BadText": (("a brace stands alone",), {"line": 3, "column": "subject"}),
    "TagSyntaxError": (("names no tag",), {"column": "Remove"}),
    "InstanceFailed": ((ReasonCode.DAMAGED, "truncated at byte 12"), {}),
    "ScanError": (("truncated", 12, ReasonCode.UNSUPPORTED), {}),
    "TooManyElementsError": ((12,), {}),
    "NotDicomError": ((), {}),
    "Unusable": (("the disk is full", OSError(28, "No space left on device")), {}),
    "ServerError": (("busy", 503, None, 30.0), {}),
    "JobFailed": ((15, ""), {}),
    "NotFound": ((), {}),
    "ReadOnlyServer": ((), {}),
    "SharedOriginals": ((), {}),
    "BadRequest": ((400, 8, "bad request"), {}),
}


def drawn() -> dict[str, str]:
    """Return each class of the tree with the one that it hangs from, as the docstring draws them."""
    above: list[tuple[int, str]] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"(    (?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)(?: {2,}|$)", line)
        if match:
            depth = len(match[1])
            above = [(other, name) for other, name in above if other < depth]
            found[match[2]] = above[-1][1] if above else ""
            above.append((depth, match[2]))
    return found


def classes() -> Iterator[type[BaseException]]:
    """Yield every exception class that a module of ours defines."""
    for path in sorted(p for top in ("flows", "tasks") for p in (ROOT / top).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        if not names:
            continue
        module = importlib.import_module(".".join(("deidflow", *path.relative_to(ROOT).with_suffix("").parts)))
        for name in names:
            kind = getattr(module, name, None)
            if inspect.isclass(kind) and issubclass(kind, BaseException):
                yield kind


CLASSES: Final = {kind.__name__: kind for kind in classes()}
OURS: Final = sorted(name for name, kind in CLASSES.items() if issubclass(kind, DeidflowError))


def test_the_tree_is_true() -> None:
    """Each class hangs from the one that it is drawn under; none is missing, and none is drawn that is not there."""
    tree = drawn()
    named = set(
        re.findall(r"``(_?[A-Z]\w+)``", (errors.__doc__ or "").partition("Control flow")[2].partition("\n\n")[0])
    )

    assert named | tree.keys() - {"OSError", "FailedRun"} == CLASSES.keys()
    for name, parent in tree.items():
        if parent:
            assert parent == CLASSES[name].__bases__[0].__name__, name


def test_bad_input_is_of_the_tree() -> None:
    """What reads configs, manifests, requests and keys raises errors of the tree, none of Python's."""
    rooms = ("config", "dicom", "manifest", "pseudonyms", "request")
    paths = sorted(path for room in rooms for path in (ROOT / "tasks" / "core" / room).rglob("*.py"))
    raised = {(path.name, name) for path in paths for name in _raised(path)}

    assert [] == sorted((path, name) for path, name in raised if name in ("Exception", "ValueError", "TypeError"))
    assert "BadText" in {name for _, name in raised}


def _raised(path: Path) -> Iterator[str]:
    """Yield the names of what a module raises."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield getattr(called, "id", getattr(called, "attr", ""))


@pytest.mark.parametrize("name", OURS)
def test_an_error_keeps_class_and_fields(name: str) -> None:
    """As a process, a cluster or a file hands it on."""
    error = make(name)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)

    assert (type(error), str(error), fields(error)) == (type(again), str(again), fields(again))


def test_errors_cross_a_real_process() -> None:
    """Raised in a worker, they arrive as they left, whatever their class."""
    with make_pool(1) as pool:
        futures = {name: pool.submit(throw, name) for name in OURS}
        arrived = {name: future.exception() for name, future in futures.items()}

    for name, error in arrived.items():
        assert (CLASSES[name], str(make(name)), fields(make(name))) == (type(error), str(error), fields(error))


def make(name: str) -> DeidflowError:
    """Return an error of a class."""
    arguments, named = ARGUMENTS.get(name, (("something happened",), {}))
    error = CLASSES[name](*arguments, **named)
    assert isinstance(error, DeidflowError)
    return error


def throw(name: str) -> None:
    """Raise one."""
    raise make(name)


def fields(error: BaseException | None) -> dict[str, object]:
    """Return what an error carries."""
    return dict(vars(error))
