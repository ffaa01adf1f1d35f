"""The real command on real files.

Public names: ``Job``, ``OtherMachine``, ``Running``, ``Finished``, ``COMMAND_S``, ``STOP_S``, ``stop_limit_s``,
``DEMO_DATA``, ``KEY``, ``read_csv``, ``files_of``, ``instance_lines``, ``with_all_keys``.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from tests.zygote import Forked, Zygote

COMMAND_S = 150.0
"""A command that takes longer hangs. Prefect's client asks a server that is lost again for a minute."""

STOP_S = 5.0
"""What a command may take that was told to stop, where it has the cores that it wants."""

_ELSEWHERE: Final = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /run/lock && exec "$@"', "sh")

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
class Running:
    """A command that was started, in a session of its own."""

    process: subprocess.Popen[bytes] | Forked
    out: Path
    err: Path

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self.process.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def reach(self, moment: threading.Event, timeout_s: float = COMMAND_S) -> None:
        """Wait until it has come to a moment; what it said so far is told when it does not."""
        end = time.monotonic() + timeout_s
        while not moment.wait(0.1):
            said = self.err.read_text("utf-8", "replace")
            assert self.poll() is None, f"ended before: {said}"
            assert time.monotonic() < end, f"not yet: {said}"

    def end(self, timeout_s: float = COMMAND_S) -> Finished:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: It hangs, and was killed.

        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        out, err = (path.read_text("utf-8", "replace") for path in (self.out, self.err))
        return Finished(code, out, err)


@dataclass
class Job:
    """A folder with a source, a config and the command to run it.

    Attributes:
        root: The folder.
        environment: For Prefect.
        zygote: What forks its commands; without it each is a Python of its own.
        key: Of its pseudonyms.
        config: As last written.

    """

    root: Path
    environment: dict[str, str]
    zygote: Zygote | None = None
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
        assert self("inventory", self.source, "-o", path, "--level", level, "--overwrite").code == 0
        return read_csv(path)

    def command(self, *arguments: object) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "deidflow.flows", *map(str, arguments)]

    def full_environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return os.environ | self.environment | {"TEST_DEIDFLOW_KEY": self.key}

    def start(
        self,
        *arguments: object,
        variables: Mapping[str, str] | None = None,
        alone: bool = False,
        umask: int | None = None,
        given: bytes = b"",
    ) -> Running:
        """Start the command.

        Args:
            arguments: Of the command.
            variables: More of its environment.
            alone: Whether it is to be a Python of its own, as a user starts it.
            umask: Its own; None for that of the tests.
            given: Its standard input.

        """
        # Into files, since whoever outlives the command would hold a pipe open.
        folder = self.root.with_name(f"{self.root.name}-said")
        folder.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(".out", dir=folder)
        out, err = Path(name), Path(name).with_suffix(".err")
        typed = Path(name).with_suffix(".in")
        typed.write_bytes(given)
        environment = self.full_environment() | dict(variables or {})
        with os.fdopen(handle, "wb") as to_out, err.open("wb") as to_err, typed.open("rb") as from_in:
            if self.zygote and not alone and self.zygote.fits(environment):
                process: subprocess.Popen[bytes] | Forked = self.zygote.start(
                    [str(argument) for argument in arguments], environment, self.root, (out, err), umask, typed
                )
            else:
                process = subprocess.Popen(
                    self.command(*arguments),
                    env=environment,
                    cwd=self.root,
                    stdin=from_in,
                    stdout=to_out,
                    stderr=to_err,
                    start_new_session=True,
                    umask=-1 if umask is None else umask,
                )
        return Running(process, out, err)

    def __call__(self, *arguments: object) -> Finished:
        """Run the command to its end."""
        return self.start(*arguments).end()


class OtherMachine(Job):
    """A folder whose commands have locks of their own; to be started ``alone``."""

    @staticmethod
    def is_possible() -> bool:
        """Whether ``unshare -m`` and ``mount`` are allowed here."""
        return subprocess.run([*_ELSEWHERE, "true"], capture_output=True, check=False).returncode == 0

    def command(self, *arguments: object) -> list[str]:
        """Return the command line."""
        return [*_ELSEWHERE, *super().command(*arguments)]


def stop_limit_s() -> float:
    """Return what a command may take that was told to stop a moment ago: the promise, on a machine as busy as this one.

    Where twice as many processes want to run as there are cores, each of them takes twice as long; Linux tells their
    number, for the last minute and now.
    """
    lately, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    wanted = max(float(lately), float(running.partition("/")[0]))
    return STOP_S * max(1.0, wanted / (os.cpu_count() or 1))


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as any program would."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def with_all_keys(config: Path) -> Path:
    """Take the # from each key that `deidflow init` offers; return the path of the config that has them all."""
    path = config.with_stem("all-keys")
    path.write_text(re.sub(r"^(\s*)#(?=\S|  (?:  )?\S)", r"\1", config.read_text(), flags=re.MULTILINE))
    return path


def instance_lines(run_dir: Path) -> list[tuple[str, ...]]:
    """Return the instance lines of a crosswalk without the manifest's line numbers, sorted."""
    rows = read_csv(run_dir / "crosswalk.csv")
    return sorted(
        tuple(value for name, value in row.items() if name != "line") for row in rows if row["level"] == "instance"
    )
