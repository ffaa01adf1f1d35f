"""The arrows between the rooms, and the size of what stands in them, for every module there is.

    flows/*  ->  tasks/*.py  ->  tasks/orthanc | tasks/local  ->  tasks/core

An arrow may be skipped downwards with one exception: the flows do not reach into an engine.
"""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]

# Who may import whom, by room.
ARROWS: Final = {
    "deidflow.flows": {"deidflow.flows", "deidflow.tasks", "deidflow.tasks.core"},
    "deidflow.tasks": {
        "deidflow.tasks",
        "deidflow.tasks.orthanc",
        "deidflow.tasks.local",
        "deidflow.tasks.verification",
        "deidflow.tasks.core",
    },
    "deidflow.tasks.orthanc": {"deidflow.tasks.orthanc", "deidflow.tasks.core"},
    "deidflow.tasks.local": {"deidflow.tasks.local", "deidflow.tasks.core"},
    "deidflow.tasks.verification": {"deidflow.tasks.verification", "deidflow.tasks.core"},
    "deidflow.tasks.core": {"deidflow.tasks.core"},
}
PREFECT_MODULES: Final = {"deidflow.flows.bulk_edit", "deidflow.flows.serve"} | {
    f"deidflow.tasks.{name}" for name in ("load", "plan", "apply", "verify", "publish", "retries")
}
# deidflow.flows.prefect_environment sets Prefect's settings before Prefect is imported.
ENVIRONMENT_MODULES: Final = {"deidflow.tasks.steps.run.settings", "deidflow.flows.prefect_environment"}
MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 60


class Import(NamedTuple):
    """One imported name."""

    target: str  # full dotted name: `from deidflow.tasks import load` is deidflow.tasks.load
    at_import: bool  # runs when the module is imported, not only inside a function or for the type checker


class Module(NamedTuple):
    """One source file of ours."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        """The room that the module stands in."""
        return room_of(self.name + (".*" if self.path.name == "__init__.py" else ""))

    def tree(self) -> ast.Module:
        """Return the parsed source."""
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    def imports(self) -> list[Import]:
        """Return everything that the module imports, wherever the statement stands."""
        return list(walk_imports(self.tree(), at_import=True))


def walk_imports(node: ast.AST, *, at_import: bool) -> Iterator[Import]:
    """Yield the imports at and below a node."""
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, at_import) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative import"
        yield from (Import(f"{node.module}.{alias.name}", at_import) for alias in node.names)
    lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
        isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    for child in ast.iter_child_nodes(node):
        yield from walk_imports(child, at_import=at_import and not lazy)


def room_of(dotted: str) -> str:
    """Return the room of a dotted name of ours."""
    parts = dotted.split(".")
    inner = ".".join(parts[:3])
    return inner if inner in ARROWS else ".".join(parts[:2])


def is_within(target: str, package: str) -> bool:
    """Tell whether a dotted name is a package or something in it."""
    return target == package or target.startswith(package + ".")


def find_modules() -> Iterator[Module]:
    """Yield every module of flows and tasks."""
    for path in sorted(p for top in ("flows", "tasks") for p in (ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield Module(".".join(("deidflow", *(parts[:-1] if parts[-1] == "__init__" else parts))), path)


MODULES: Final = list(find_modules())
each_module = pytest.mark.parametrize("module", MODULES, ids=[m.name for m in MODULES])


@each_module
def test_rooms_are_imported_along_the_arrows_only(module: Module) -> None:
    """No import of ours goes against an arrow, not even for the type checker."""
    ours = [i.target for i in module.imports() if is_within(i.target, "deidflow")]

    assert [] == [target for target in ours if room_of(target) not in ARROWS[module.room]]


@each_module
def test_prefect_stands_in_its_modules_only(module: Module) -> None:
    """Others do not import Prefect; in flows they import its modules inside functions, so that it is loaded late."""
    if module.name in PREFECT_MODULES:
        return
    imports = module.imports()
    ours = [i for i in imports if any(is_within(i.target, m) for m in PREFECT_MODULES)]

    assert [] == [i.target for i in imports if is_within(i.target, "prefect")]
    assert [] == [i.target for i in ours if i.at_import or module.room != "deidflow.flows"]


@each_module
def test_outside_worlds_have_one_room_each(module: Module) -> None:
    """HTTP is spoken in tasks.orthanc, DICOM in tasks.local; the core uses pydicom's dictionary and nothing else."""
    targets = [i.target for i in module.imports()]
    http = [t for t in targets if is_within(t, "httpx")]
    dicom = [t for t in targets if is_within(t, "pydicom")]
    if module.room == "deidflow.tasks.core":
        dicom = [t for t in dicom if not is_within(t, "pydicom.datadict")]

    assert module.room == "deidflow.tasks.orthanc" or http == []
    assert module.room in {"deidflow.tasks.local", "deidflow.tasks.verification"} or dicom == []


@each_module
def test_environment_is_read_in_one_module(module: Module) -> None:
    """Elsewhere nothing of os that touches environment variables is named."""
    if module.name in ENVIRONMENT_MODULES:
        return
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    used = [n.attr for n in ast.walk(module.tree()) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "os"]
    used += [i.target.removeprefix("os.") for i in module.imports() if is_within(i.target, "os")]

    assert names.isdisjoint(used)


@each_module
def test_modules_and_functions_are_short(module: Module) -> None:
    """At most 400 lines a module and 60 lines a function, docstring included."""
    functions = [n for n in ast.walk(module.tree()) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {f"{f.name}, line {f.lineno}": (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions}

    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    assert {} == {name: length for name, length in lengths.items() if length > FUNCTION_LINES}


@pytest.mark.parametrize("name", ["tasks.core", "tasks.local", "tasks.orthanc", "flows.cli"])
def test_import_leaves_prefect_out(name: str) -> None:
    """A process that imports all of a room, or the command line, has not loaded Prefect."""
    names = [m.name for m in MODULES if is_within(m.name, f"deidflow.{name}")]
    script = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (0, "False") == (done.returncode, done.stdout.strip()), done.stderr


def test_every_folder_of_modules_is_installed() -> None:
    """Nothing is installed under a name of its own but deidflow, and no folder of flows and tasks is left out."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {module.path.parent.relative_to(ROOT) for module in MODULES}

    assert {".".join(("deidflow", *folder.parts)) for folder in folders} == set(setup["packages"])
    assert {"deidflow.flows": "flows", "deidflow.tasks": "tasks"} == setup["package-dir"]


@pytest.mark.parametrize("package", ["tasks", "tasks/core"])
def test_package_inits_are_empty(package: str) -> None:
    """Importing one module of the core runs no other."""
    assert (ROOT / package / "__init__.py").read_bytes() == b""


def test_no_flow_shadows_a_top_level_module() -> None:
    """Prefect puts the folder of a flow first on sys.path, so no name in it may be that of a module in use."""
    taken = {"deidflow"} | sys.stdlib_module_names | set(importlib.metadata.packages_distributions())
    names = {p.stem for p in (ROOT / "flows").iterdir()} - {"__init__", "__main__", "__pycache__"}

    assert set() == names & taken
