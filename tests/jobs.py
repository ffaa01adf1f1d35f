"""The real command on real files.

Public names: ``Job``, ``Finished``, ``DEMO_DATA``, ``KEY``, ``read_csv``, ``files_of``, ``instance_lines``.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

DEMO_DATA = Path(__file__).parents[1] / "configs" / "demo-data"
KEY = "00112233445566778899aabbccddeeff" * 2


@dataclass
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def run_dir(self) -> Path:
        """The run folder that the last line of `run` names."""
        return Path(self.out.strip().rpartition("report:")[2].strip()).parent


@dataclass
class Job:
    """A folder with a source, a config and the command to run it."""

    root: Path
    environment: dict[str, str]
    key: str = KEY
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The source folder."""
        return self.root / "source"

    @property
    def destination(self) -> Path:
        """The destination of the config."""
        return self.root / "results"

    @property
    def manifest(self) -> Path:
        """The manifest."""
        return self.root / "manifest.csv"

    def write_config(self, **changes: Any) -> Path:
        """Write job.yaml: an anonymization of the source with this job's key, but for the changes."""
        config: dict[str, Any] = {
            "name": "job",
            "manifest": "manifest.csv",
            "operation": "anonymize",
            "engine": "local",
            "source": {"folder": "source"},
            "destination": {"folder": "results"},
            "options": {"DicomVersion": "2023b"},
            "pseudonyms": {"key_env": "TEST_DEIDFLOW_KEY"},
            "verify": "full",
            "report": {"runs_dir": "runs"},
            "execution": {"retry_delay_seconds": 0.1},
        }
        config.update(changes)
        self.config = config
        path = self.root / "job.yaml"
        with path.open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump({key: value for key, value in config.items() if value is not None}, stream)
        return path

    def write_manifest(self, rows: list[dict[str, str]], path: Path | None = None) -> Path:
        """Write a manifest with the columns of its rows."""
        path = path or self.manifest
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def inventory(self, level: str = "study") -> list[dict[str, str]]:
        """Return the rows of `deidflow inventory`."""
        path = self.root / f"inventory-{level}.csv"
        assert self("inventory", self.source, "-o", path, "--level", level).code == 0
        return read_csv(path)

    def command(self, *arguments: object) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "flows", *map(str, arguments)]

    def full_environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return os.environ | self.environment | {"TEST_DEIDFLOW_KEY": self.key}

    def __call__(self, *arguments: object) -> Finished:
        """Run the command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            timeout=110,
            env=self.full_environment(),
            cwd=self.root,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as any program would."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def instance_lines(run_dir: Path) -> list[tuple[str, ...]]:
    """Return the instance lines of a crosswalk without the manifest's line numbers, sorted."""
    rows = read_csv(run_dir / "crosswalk.csv")
    return sorted(
        tuple(value for name, value in row.items() if name != "line") for row in rows if row["level"] == "instance"
    )
