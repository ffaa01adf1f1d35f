"""What is used of other people's private interfaces stands in a module each, and is there in the installed versions.

Nobody promises these names. When a test fails here after an upgrade, read what took the place of the name, and change
the one module that uses it.
"""

from __future__ import annotations

import multiprocessing
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from io import BytesIO
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from openpyxl import Workbook, load_workbook
from prefect.task_runners import ThreadPoolTaskRunner

ROOT: Final = Path(__file__).parents[2]


class Private(NamedTuple):
    """A private name of somebody else's.

    Attributes:
        module: The only one of ours that uses it.
        name: As it stands there.
        owner: What it is an attribute of, in the installed version.
        whose: The distribution, "python" for CPython's own.

    """

    module: str
    name: str
    owner: Any
    whose: str


def _sheet() -> object:
    content = BytesIO()
    Workbook().save(content)
    return load_workbook(content, read_only=True).worksheets[0]


def _used() -> list[Private]:
    transport = httpx.HTTPTransport()
    return [
        Private("flows/prefect_environment.py", "_executor", ThreadPoolTaskRunner(), "prefect"),
        Private("tasks/core/manifest/spreadsheets.py", "_worksheet_path", _sheet(), "openpyxl"),
        Private("tasks/core/processes/pool.py", "_config", multiprocessing.current_process(), "python"),
        Private("tasks/core/processes/pool.py", "_Popen", ForkServerProcess, "python"),
        Private("tasks/core/processes/pool.py", "_processes", ProcessPoolExecutor(1), "python"),
        Private("tasks/orthanc/connection/deadlines.py", "_transport", httpx.Client(transport=transport), "httpx"),
        Private("tasks/orthanc/connection/deadlines.py", "_pool", transport, "httpx"),
        Private("tasks/orthanc/connection/deadlines.py", "_network_backend", transport._pool, "httpcore"),
    ]


def _installed(whose: str) -> str:
    return sys.version.split()[0] if whose == "python" else version(whose)


def test_the_installed_versions_have_them() -> None:
    """Each name that is used is there."""
    lost = [
        f"{one.whose} {_installed(one.whose)} has no {one.name} any more: change {one.module}"
        for one in _used()
        if not hasattr(one.owner, one.name)
    ]

    assert [] == lost


def test_they_stand_in_one_module_each() -> None:
    """What the linter calls private access is found in the modules of the table only, and each name is used there."""
    pattern = re.compile(r"(\w[\w.]*(?:\(\))?)\._\w+.*# noqa: SLF001")
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for top in ("flows", "tasks")
        for path in (ROOT / top).rglob("*.py")
    }
    # The verifier's own classes, made by its own functions.
    users = {name for name, text in texts.items() if pattern.search(text)} - {"tasks/verification/reader.py"}

    assert {one.module for one in _used()} == users
    assert [] == [one for one in _used() if f".{one.name}" not in texts[one.module]]


@pytest.mark.parametrize("text", ["    server._run = 1  # noqa: SLF001", "x = f()._config  # noqa: SLF001"])
def test_the_rule_sees_what_it_is_for(text: str) -> None:
    """Both forms of private access, as they stand in the modules."""
    assert re.search(r"(\w[\w.]*(?:\(\))?)\._\w+.*# noqa: SLF001", text)
