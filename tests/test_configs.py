"""The examples in configs/ run as they stand, and its README names every key and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from tasks.core.config import Config
from tasks.core.manifest import Manifest
from tasks.core.manifest_columns import MANIFEST_COLUMNS
from tasks.core.options import OPTION_KEYS
from tasks.settings import load_config

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


def documented(heading: str) -> list[str]:
    """Return the first cells of the tables under a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return FIRST_CELL.findall(section)


def test_the_readme_names_every_key() -> None:
    """No key is missing, none is made up, none stands twice."""
    expected = model_keys(Config) - {"options"} | {f"options.{key}" for key in OPTION_KEYS}

    assert sorted(expected) == sorted(documented("Config"))


def test_the_readme_names_every_column() -> None:
    """In the order of the contract."""
    assert list(MANIFEST_COLUMNS) == documented("Manifest")


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
