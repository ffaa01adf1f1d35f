"""The examples in configs/ run as they stand, and its README names every key and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.config.options import OPTION_KEYS
from deidflow.tasks.core.manifest.columns import MANIFEST_COLUMNS, REPORT_COLUMNS
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.outcomes import REMEDIES, Outcome, ReasonCode
from deidflow.tasks.core.report.crosswalk import COLUMNS
from deidflow.tasks.steps.run.settings import load_config

CONFIGS = Path(__file__).parents[1] / "configs"
README = (CONFIGS / "README.md").read_text()
FIRST_CELL = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def model_keys(group: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted keys of a group that hold values."""
    keys = set()
    for name, field in group.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        keys |= model_keys(inner[0], f"{prefix}{name}.") if inner else {f"{prefix}{name}"}
    return keys


def documented_keys() -> list[str]:
    """Return the keys of the config, from the tables that begin with a column of keys."""
    tables = re.findall(r"^\| key \|.*\n(?:\|.*\n)+", README, re.MULTILINE)
    return [key for table in tables for key in FIRST_CELL.findall(table)]


def documented(heading: str) -> list[str]:
    """Return the first cells of the tables under a heading."""
    marks, title = heading.split(" ", 1) if heading.startswith("#") else ("##", heading)
    section = re.split(rf"\n#{{2,{len(marks)}}} ", README.split(f"\n{marks} {title}\n", 1)[1], maxsplit=1)[0]
    return FIRST_CELL.findall(section)


def test_the_readme_names_every_key() -> None:
    """No key is missing, none is made up, none stands twice."""
    expected = model_keys(Config) - {"options"} | {f"options.{key}" for key in OPTION_KEYS}

    assert sorted(expected) == sorted(documented_keys())


def test_the_readme_names_every_column() -> None:
    """In the order of the contract."""
    assert list(MANIFEST_COLUMNS) == documented("Manifest")


def test_the_readme_names_all_of_a_report() -> None:
    """Columns in their order, and each reason with what to do."""
    assert list(REPORT_COLUMNS) == documented("### reconciliation.csv")
    assert list(COLUMNS) == documented("### crosswalk.csv")
    assert [str(code) for code in ReasonCode] == documented("### Reasons")
    assert [f"| `{code}` | {text} |" for code, text in REMEDIES.items() if f"| {text} |" not in README] == []
    assert set(Outcome) <= set(re.findall(r"`(\w+)`", README.split("### Outcomes", 1)[1].split("###", 1)[0]))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_sound(path: Path) -> None:
    """Config and, where it is checked in, manifest."""
    config = load_config(path)

    assert f"[{path.name}]({path.name})" in README
    if config.manifest.parent == CONFIGS:
        rows = list(Manifest(config.manifest, config.defaults).rows())
        assert rows
        assert [row.problems for row in rows] == [()] * len(rows)


def test_every_example_manifest_is_used() -> None:
    """None lies around that no config reads."""
    used = {load_config(path).manifest for path in CONFIGS.glob("*.yaml")}

    assert set(CONFIGS.glob("*.csv")) <= used
