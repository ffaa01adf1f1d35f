"""What documents show is so: each command and option exists, each Python example runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest

from deidflow.flows.cli import cli
from tests.jobs import DEMO_DATA, KEY, files_of

if TYPE_CHECKING:
    from tests.jobs import Job

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "configs" / "README.md", *(ROOT / "docs").glob("*.md"))
    if "deidflow " in path.read_text("utf-8")
)
_COMMAND: Final = re.compile(r"(?:^|`|\s)deidflow ((?:[a-z]+)(?: [^`\n|#&]*)?)", re.MULTILINE)
ENGINEERS: Final = ROOT / "docs" / "data-engineers.md"


def _shown(name: str) -> list[str]:
    """Return what stands behind ``deidflow`` in code of a document, in lines and blocks."""
    text = (ROOT / name).read_text("utf-8").replace("\\|", "|")
    fenced = re.split(r"^```", text, flags=re.MULTILINE)[1::2]
    blocks = [block for block in fenced if not block.startswith(("python", "yaml", "csv"))]
    indented = re.findall(r"^ {4}deidflow .*$", text, re.MULTILINE)
    inline = re.findall(r"`deidflow [^`]+`", text)
    return [found for part in (*blocks, *indented, *inline) for found in _COMMAND.findall(part)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_options_exist(name: str) -> None:
    """As they stand there, with values that stand for any."""
    for shown in _shown(name):
        command, *words = shlex.split(shown.replace("...", ""), comments=True)
        assert command in cli.commands, shown
        known = {option for parameter in cli.commands[command].params for option in parameter.opts} | {"--help"}
        given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert given <= known, shown


def test_something_is_shown() -> None:
    """Else the test above would hold of nothing."""
    assert {"README.md", "docs/privacy.md", "docs/data-engineers.md", "docs/operators.md"} <= set(DOCUMENTS)
    assert 40 < sum(len(_shown(name)) for name in DOCUMENTS)
    assert all(isinstance(command, click.Command) for command in cli.commands.values())


def test_pictures_are_there_and_small() -> None:
    """Those of docs/operators.md, and no others (``make pictures``)."""
    text = (ROOT / "docs" / "operators.md").read_text("utf-8")
    named = set(re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", text))
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}

    assert named == sizes.keys()
    assert all(size < 150_000 for size in sizes.values()), sizes


def _example(number: int) -> str:
    found: list[str] = re.findall(r"^```python\n(.*?)^```", ENGINEERS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return found[number]


def test_the_library(tmp_path: Path) -> None:
    """The example for the routes on a folder, as a script of somebody else's."""
    shutil.copytree(DEMO_DATA / "MR", tmp_path / "incoming")
    (tmp_path / "key.txt").write_text(f"{KEY}\n")
    done = subprocess.run(
        [sys.executable, "-c", _example(1)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    count, failed = map(int, done.stdout.split())
    assert (0, count) == (failed, len(files_of(tmp_path / "results")))
    assert count > 0


@pytest.mark.long
def test_the_flow(job: Job) -> None:
    """The example for a flow that calls ours, with a row that is wrong."""
    shutil.copytree(DEMO_DATA / "MR", job.source)
    rows = job.inventory()
    job.write_manifest([*rows, {**rows[0], "orthanc_id": "not-an-id"}])
    job.write_config().rename(job.root / "nightly.yaml")
    done = subprocess.run(
        [sys.executable, "-c", _example(0)],
        cwd=job.root,
        env=job.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    said = done.stdout.strip().splitlines()[-1]
    assert f"some rows are not done {len(rows)} " in said
