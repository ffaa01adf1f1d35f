"""What is installed has one name, deidflow, and works beside files and folders that are called as its parts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.jobs import DEMO_DATA

ROOT: Final = Path(__file__).parents[2]


def test_the_wheel_holds_nothing_but_deidflow(tmp_path: Path) -> None:
    """One package, and one command that starts in it."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, project], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        commands = packed.read(entry_points).decode()
    modules = {path.relative_to(ROOT) for top in ("flows", "tasks") for path in (ROOT / top).rglob("*.py")}

    assert {"deidflow"} == {name.partition("/")[0].partition("-")[0] for name in names}
    assert {f"deidflow/{path.as_posix()}" for path in modules} == {name for name in names if name.endswith(".py")}
    assert "[console_scripts]\ndeidflow = deidflow.flows.__main__:main" == commands.strip()


@pytest.mark.parametrize("start", [["-m", "deidflow.flows"], [str(Path(sys.executable).with_name("deidflow"))]])
def test_the_command_beside_files_of_its_parts_names(tmp_path: Path, start: list[str]) -> None:
    """As a user has them in the folder where he works."""
    for name in ("tasks.py", "flows/__init__.py", "core.py", "cli.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('a file of somebody else was imported')")

    done = subprocess.run(
        [sys.executable, *start, "inventory", DEMO_DATA / "MR", "-o", "cohort.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "cohort.csv").exists()
