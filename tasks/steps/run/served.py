"""Which config a deployment means: one of those that the serving process was given, and no other. No Prefect.

Whoever reaches Prefect's API can ask for a run with parameters of his own; he is not to choose the files that the
service reads and writes with its own rights.

Public names: ``find_served``, ``beside_manifest``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.config.yaml import read_yaml
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.steps.run.settings import read_config_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config


def find_served(wanted: str, paths: Sequence[Path] | None) -> Path:
    """Return the config that a deployment names.

    Args:
        wanted: The config's ``name``, or its path as it was served.
        paths: Of the configs that may be run; None when nobody has said.

    Raises:
        InvalidInput: It is none of them, two have the name, or nobody has said. What was wanted is not repeated.

    """
    if paths is None:
        raise InvalidInput(
            "this process has no list of the configs that deployments may run; set DEIDFLOW_CONFIGS to their paths "
            f"(files, or folders of *.yaml, separated by {os.pathsep}) where the worker is started, or use "
            "`deidflow serve`"
        )
    broken: list[Problem] = []
    names = {path: _name(path, broken) for path in paths}
    named = [path for path, name in names.items() if name == wanted]
    if len(named) > 1:
        raise InvalidInput([Problem("must be the name of one served config; two have it", key="config")])
    if not named:
        named = [path for path in paths if os.path.abspath(path) == os.path.abspath(wanted)]  # noqa: PTH100 (any text)
    if not named:
        known = ", ".join(sorted(filter(None, names.values()))) or "none"
        text = f"must be the name of a config that is served here: {known}"
        # It may be one of those that can no longer be read, which nobody else would say.
        raise InvalidInput([*broken, Problem(text, key="config")])
    return named[0]


def beside_manifest(config: Config, name: str) -> Path:
    """Return another manifest of a served config.

    Args:
        config: Read and checked.
        name: Of a file in the folder of the config's own manifest, whose owner decides what may be asked for.

    Raises:
        InvalidInput: It is no name of a file there. What was wanted is not repeated.

    """
    path = config.manifest.parent / name
    if name in {"", ".", ".."} or path.name != name or path.is_symlink() or not path.is_file():
        text = "must be the name of a file in the folder of the config's manifest, without a path"
        raise InvalidInput([Problem(text, key="manifest")])
    return path


def _name(path: Path, broken: list[Problem]) -> str:
    """Return what a config calls itself, "" where it cannot be read; why is added to what is broken."""
    try:
        name = read_yaml(read_config_text(path), str(path)).data.get("name")
    except InvalidInput as error:
        broken += error.problems
        return ""
    return name if isinstance(name, str) else ""
