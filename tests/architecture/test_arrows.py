"""The arrows between the rooms, and the size of what stands in them, for every module there is.

    flows/*  ->  tasks/*.py  ->  tasks/steps  ->  tasks/local | orthanc | verification | export  ->  tasks/core
    tasks/local x tasks/orthanc;  tasks/verification x tasks/local;  tasks/core -> nothing of ours above it
    inside tasks/core:  report, plan -> ledger -> manifest, engine, request -> dicom
    inside tasks/local: editing -> dicom_file;  deidentification knows the words of actions, and no bytes

An arrow may be skipped downwards with one exception: the flows do not reach into an engine.
"""

import ast
import importlib.metadata
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]

_CORE: Final = "deidflow.tasks.core"
_LOCAL: Final = "deidflow.tasks.local"


def _rooms(above: str, arrows: dict[str, str]) -> dict[str, set[str]]:
    """Return the arrows inside a folder: each room with itself, the folder's own modules, and the rooms it names."""
    return {
        f"{above}.{room}": {above, *(f"{above}.{name}" for name in (room, *to.split()))} for room, to in arrows.items()
    }


_CORE_ARROWS: Final = _rooms(
    _CORE,
    {
        "dicom": "",
        "files": "",
        "processes": "",
        "pixels": "dicom",
        "request": "dicom pixels",
        "engine": "dicom request files pixels",
        "pseudonyms": "dicom request",
        "manifest": "dicom request engine files",
        "config": "dicom request manifest pixels",
        "ledger": "dicom request engine files manifest",
        "plan": "dicom request engine pseudonyms manifest ledger",
        "report": "dicom request engine files manifest ledger",
    },
)
_ALL_CORE: Final = {_CORE, *_CORE_ARROWS}
_LOCAL_ARROWS: Final = _rooms(
    _LOCAL,
    {
        "dicom_file": "",
        "editing": "dicom_file",
        "deidentification": "editing dicom_file",
        "folder": "dicom_file editing",
        "transcoding": "dicom_file editing",
        "viewing": "dicom_file",
    },
)
_BELOW_STEPS: Final = {
    "deidflow.tasks.orthanc",
    "deidflow.tasks.export",
    "deidflow.tasks.verification",
    _LOCAL,
    *_LOCAL_ARROWS,
    *_ALL_CORE,
}

# Who may import whom, by room.
ARROWS: Final[dict[str, set[str]]] = {
    "deidflow.flows": {"deidflow.flows", "deidflow.tasks", "deidflow.tasks.steps", *_ALL_CORE},
    "deidflow.tasks": {"deidflow.tasks", "deidflow.tasks.steps", *_ALL_CORE},
    "deidflow.tasks.steps": {"deidflow.tasks.steps", *_BELOW_STEPS},
    "deidflow.tasks.orthanc": {"deidflow.tasks.orthanc", *_ALL_CORE},
    "deidflow.tasks.verification": {"deidflow.tasks.verification", *_ALL_CORE},
    "deidflow.tasks.export": {"deidflow.tasks.export", *_ALL_CORE},
    _LOCAL: {_LOCAL, *_LOCAL_ARROWS, *_ALL_CORE},
    **{room: targets | _ALL_CORE for room, targets in _LOCAL_ARROWS.items()},
    _CORE: {_CORE},
    **_CORE_ARROWS,
}

FOLDER_MODULES: Final = 14
_WITH_PREFECT: Final = {"deidflow.flows", "deidflow.tasks"}
PREFECT_MODULES: Final = {"deidflow.flows.bulk_edit", "deidflow.flows.serve"} | {
    f"deidflow.tasks.{name}"
    for name in ("load", "plan", "apply", "verify", "publish", "retries", "shown", "one_at_a_time")
}
# deidflow.flows.prefect_environment sets Prefect's settings before Prefect is imported, and own_server the address.
ENVIRONMENT_MODULES: Final = {
    "deidflow.tasks.steps.run.settings",
    "deidflow.flows.prefect_environment",
    "deidflow.flows.own_server",
    "deidflow.flows.answers.utf8",  # of Python itself
}
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
        return parse(self.path)

    def imports(self) -> tuple[Import, ...]:
        """Return everything that the module imports, wherever the statement stands."""
        return imports_of(self.path)


@cache
def parse(path: Path) -> ast.Module:
    """Parse a source file, once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Return the imports of a source file, found once for all tests."""
    return tuple(walk_imports(parse(path), at_import=True))


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
    """Return the room of a dotted name of ours: the innermost one that has arrows."""
    return max((room for room in ARROWS if is_within(dotted, room)), key=len, default="")


def is_within(target: str, package: str) -> bool:
    """Tell whether a dotted name is a package or something in it."""
    return target == package or target.startswith(package + ".")


def find_modules() -> Iterator[Module]:
    """Yield every module of flows and tasks."""
    for path in sorted(p for top in ("flows", "tasks") for p in (ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield Module(".".join(("deidflow", *(parts[:-1] if parts[-1] == "__init__" else parts))), path)


MODULES: Final = list(find_modules())


def each_module(rule: Callable[[Module], None]) -> Callable[[], None]:
    """Make one test of a rule for every module: some thousand small ones take longer to hand out than to run."""

    def test() -> None:
        broken = []
        for module in MODULES:
            try:
                rule(module)
            except AssertionError as error:
                broken.append(f"{module.name}: {error}")
        assert not broken, "\n".join(broken)

    test.__name__ = test.__qualname__ = rule.__name__
    test.__doc__ = rule.__doc__
    return test


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
    """HTTP is spoken in tasks.orthanc, DICOM where it is edited or read; the core uses pydicom's dictionary alone."""
    targets = [i.target for i in module.imports()]
    http = [t for t in targets if is_within(t, "httpx")]
    dicom = [t for t in targets if is_within(t, "pydicom")]
    if is_within(module.room, _CORE):
        dicom = [t for t in dicom if not is_within(t, "pydicom.datadict")]

    assert module.room == "deidflow.tasks.orthanc" or http == []
    readers = {"deidflow.tasks.verification", "deidflow.tasks.export"}
    assert is_within(module.room, _LOCAL) or module.room in readers or dicom == []


REQUESTS: Final = f"{_CORE}.request"


@each_module
def test_editing_knows_no_request(module: Module) -> None:
    """It carries tables out, and sees of requests the values that they give; the arrows keep policy out of it."""
    if module.room != f"{_LOCAL}.editing":
        return
    values = {f"{REQUESTS}.edits.{name}" for name in ("Item", "Value")}

    assert [] == [i.target for i in module.imports() if is_within(i.target, REQUESTS) and i.target not in values]


WHO_ASKS_FOR_A_SERVER: Final = {f"deidflow.tasks.steps.access.{name}" for name in ("choice", "engines")}
"""The second one makes the engine that is a server."""


@each_module
def test_one_module_asks_whether_a_source_or_destination_is_a_server(module: Module) -> None:
    """Others have a source and a store, and ask these for what they need."""
    if module.name in WHO_ASKS_FOR_A_SERVER or is_within(module.room, f"{_CORE}.config"):
        return
    asked = [n for n in ast.walk(module.tree()) if isinstance(n, ast.Attribute) and n.attr == "orthanc"]

    assert [] == [ast.unparse(n) for n in asked if ast.unparse(n.value).endswith(("source", "destination"))]


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


def test_benchmarks_are_short() -> None:
    """A benchmark is read by people, too."""
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "benchmarks").glob("*.py")}

    assert {} == {name: lines for name, lines in long.items() if lines > MODULE_LINES}


# A room is imported in a process of its own, forked from one that has loaded what every room may load.
_IMPORTER: Final = """
import importlib, json, os, sys
import concurrent.futures.process, tempfile, zoneinfo
import croniter, humanize, jinja2, numpy, pydantic, pydicom, ruamel.yaml
for room, names in json.loads(sys.argv[1]).items():
    sys.stdout.flush()
    if os.fork() == 0:
        for name in names:
            importlib.import_module(name)
        loaded = [n for n in sys.modules if n.split(".")[0] in ("deidflow", "prefect", "httpx", "sqlite3")]
        print(json.dumps([room, loaded]), flush=True)
        os._exit(0)
    os.wait()
"""


def test_rooms_load_what_their_arrows_allow() -> None:
    """A process that imports all of a room has loaded nothing that lies behind no arrow, and never Prefect."""
    rooms = {room: [m.name for m in MODULES if m.room == room] for room in ARROWS if room not in _WITH_PREFECT}
    rooms["deidflow.flows.cli"] = ["deidflow.flows.cli"]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTER, json.dumps(rooms)], capture_output=True, text=True, check=False
    )
    found = dict(json.loads(line) for line in done.stdout.splitlines())

    assert (0, rooms.keys()) == (done.returncode, found.keys()), done.stderr
    for room, loaded in found.items():
        allowed = closure(room_of(room))
        ours = [name for name in loaded if is_within(name, "deidflow") and not is_package(name)]
        assert [] == [name for name in ours if room_of(name) not in allowed], room
        assert "prefect" not in loaded, room
        assert "httpx" not in loaded or "deidflow.tasks.orthanc" in allowed, room
        assert "sqlite3" not in loaded or f"{_CORE}.ledger" in allowed, room


def closure(room: str) -> set[str]:
    """Return every room that can be reached from one along the arrows."""
    reached: set[str] = set()
    waiting = [room]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += ARROWS[here]
    return reached


def is_package(name: str) -> bool:
    """Tell whether a module is the empty one of a folder."""
    return name == "deidflow" or (ROOT / Path(*name.split(".")[1:]) / "__init__.py").exists()


@pytest.mark.parametrize("folder", sorted({m.path.parent for m in MODULES}), ids=lambda f: str(f.relative_to(ROOT)))
def test_folders_are_small(folder: Path) -> None:
    """No folder holds more than about a dozen modules."""
    assert FOLDER_MODULES >= len([path for path in folder.glob("*.py") if path.name != "__init__.py"])


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
