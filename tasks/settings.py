"""Config files, ``--set`` and secrets: the only module that reads configuration files and environment variables.

Public names: ``Config``, ``load_config``, ``check_files``, ``load_key``, ``load_credentials``, ``credential_warning``.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from deidflow.tasks.core.config import Config, OrthancAccess
from deidflow.tasks.core.config_checks import cross_check
from deidflow.tasks.core.config_errors import describe
from deidflow.tasks.core.errors import InvalidInput, Problem, os_error_text
from deidflow.tasks.core.options import read_options
from deidflow.tasks.core.overrides import apply_override
from deidflow.tasks.core.pseudonyms import HOW_TO_MAKE_A_KEY, Key, KeyFormatError
from deidflow.tasks.core.yaml_lines import YamlDocument, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Config", "check_files", "credential_warning", "load_config", "load_credentials", "load_key"]

_PATH_KEYS: Final = (
    ("manifest",),
    ("source", "folder"),
    ("destination", "folder"),
    ("report", "runs_dir"),
    ("pseudonyms", "key_file"),
    ("orthanc", "ca_file"),
)
_NO_FILE: Final = "there is no such file, or it cannot be reached"
_MAX_KEY_FILE_BYTES: Final = 1 << 16
_GROUPS_WITH_DEFAULTS: Final = ("options", "execution", "report", "orthanc")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the value of each key was given: the file, with its lines, or the command line."""

    file: str
    document: YamlDocument
    flags: Mapping[str, str]

    def flag(self, key: str) -> str:
        """Return the flag that gave a key, "" for the file."""
        for given, flag in self.flags.items():
            made_here = given.startswith(f"{key}.") and key not in self.document.lines
            if key == given or key.startswith(f"{given}.") or made_here:
                return flag
        return ""

    def place(self, problem: Problem) -> Problem:
        """Add file and line to a problem of a key."""
        flag = self.flag(problem.key)
        if flag:
            return Problem(problem.text, flag, key=problem.key)
        return Problem(problem.text, self.file, self.document.line(problem.key), key=problem.key)


def load_config(
    path: Path, overrides: Iterable[str] = (), *, manifest: Path | None = None, runs_dir: Path | None = None
) -> Config:
    """Read and check a config; nothing is changed, and the files that it names are not opened.

    Args:
        path: The YAML file; relative paths in it start at its folder.
        overrides: ``KEY=VALUE`` of each ``--set``; relative paths start at the current folder, as in what follows.
        manifest: Of ``--manifest``, takes the place of the config's.
        runs_dir: Of ``--runs-dir``, takes the place of the config's.

    Raises:
        InvalidInput: With every problem, each with file, line and key.

    """
    document = read_yaml(_read_text(path), str(path))
    data = document.data
    flags: dict[str, str] = {}
    problems: list[Problem] = []
    for override in overrides:
        try:
            flags[apply_override(data, override)] = "--set"
        except ValueError as error:
            problems.append(Problem(str(error), f"--set {override.partition('=')[0]}"))
    if manifest is not None:
        data["manifest"] = str(manifest)
        flags["manifest"] = "--manifest"
    for group in _GROUPS_WITH_DEFAULTS:
        if group in data and data[group] is None:  # all its keys are commented out
            del data[group]
    if runs_dir is not None or "report" not in data:
        data["report"] = {"runs_dir": str(runs_dir or "runs")}
    elif isinstance(data["report"], dict):
        data["report"].setdefault("runs_dir", "runs")
    if runs_dir is not None:
        flags["report.runs_dir"] = "--runs-dir"
    origin = _Origin(str(path), document, flags)
    _resolve_paths(data, path, origin)
    config, found = _check(data)
    problems += [origin.place(problem) for problem in found]
    if problems or config is None:
        raise InvalidInput(sorted(problems, key=lambda problem: (problem.file != str(path), problem.line)))
    return config


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput([Problem(f"cannot be read: {os_error_text(error)}", str(path))]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidInput([Problem("is not UTF-8; save it as UTF-8", str(path), line)]) from None


def _resolve_paths(data: dict[str, Any], config: Path, origin: _Origin) -> None:
    for *groups, key in _PATH_KEYS:
        group: Any = data
        for name in groups:
            group = group.get(name) if isinstance(group, dict) else None
        text = group.get(key) if isinstance(group, dict) else None
        if isinstance(text, str) and text:
            base = Path.cwd() if origin.flag(".".join((*groups, key))) else config.absolute().parent
            group[key] = os.path.normpath(base / os.path.expanduser(text))  # noqa: PTH111 (Path's raises)


def _check(data: dict[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Return the config, or else every problem by key."""
    problems: list[Problem] = []
    config = None
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        problems += describe(error)
    options = data.get("options", {})
    if isinstance(options, dict):
        problems += read_options(options)[2]
    problems += cross_check(data)
    return config, problems


def check_files(config: Config) -> list[Problem]:
    """Find files and folders that a run needs and that are not there.

    Apart from ``load_config``, since a schedule may be served before tonight's manifest exists.
    """
    problems = []
    # os.path, since pathlib raises where a folder on the way must not be looked into.
    if not os.path.exists(config.manifest):  # noqa: PTH110
        problems.append(Problem(f"{_NO_FILE}; `deidflow inventory` makes one", key="manifest"))
    folder = config.source.folder
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112
        problems.append(Problem("there is no such folder, or it cannot be reached", key="source.folder"))
    ca_file = config.orthanc.ca_file
    if ca_file is not None and not os.path.isfile(ca_file):  # noqa: PTH113
        problems.append(Problem(_NO_FILE, key="orthanc.ca_file"))
    return problems


def load_key(config: Config, environ: Mapping[str, str] | None = None) -> Key | None:
    """Return the configured key, None when none is configured.

    Args:
        config: A checked config.
        environ: Environment variables; the process's own when left out.

    Raises:
        InvalidInput: The variable is not set, the file cannot be read or others can read it, or it holds no good key.

    """
    group = config.pseudonyms
    if group is None or not (group.key_env or group.key_file):
        return None
    if group.key_file is not None:
        key, text = "pseudonyms.key_file", _read_key_file(group.key_file)
    else:
        name = group.key_env or ""
        key, text = "pseudonyms.key_env", (os.environ if environ is None else environ).get(name, "")
        if not text.strip():
            raise InvalidInput([Problem(f"the environment variable {name} is not set; {HOW_TO_MAKE_A_KEY}", key=key)])
    try:
        return Key.parse(text)
    except KeyFormatError as error:
        raise InvalidInput([Problem(str(error), key=key)]) from None


def _read_key_file(path: Path) -> str:
    key = "pseudonyms.key_file"
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_MAX_KEY_FILE_BYTES)
    except OSError as error:
        text = f"cannot be read: {os_error_text(error)}; {HOW_TO_MAKE_A_KEY}"
        raise InvalidInput([Problem(text, key=key)]) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInput([Problem("others than its owner can use the file; give it mode 0600 (chmod 600)", key=key)])
    return data.decode("ascii", "replace")


def load_credentials(access: OrthancAccess, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return user name and password for Orthanc, None when neither variable is set.

    Raises:
        InvalidInput: One of the two is not set, or one that the config names itself.

    """
    variables = os.environ if environ is None else environ
    keys = ("username_env", "password_env")
    names = [getattr(access, key) for key in keys]
    values = [variables.get(name, "") for name in names]
    if all(values):
        return values[0], values[1]
    problems = [
        Problem(f"the environment variable {name} is not set", key=f"orthanc.{key}")
        for key, name, value in zip(keys, names, values, strict=True)
        if not value and (any(values) or name != OrthancAccess.model_fields[key].default)
    ]
    if problems:
        raise InvalidInput(problems)
    return None


def credential_warning(url: str, credentials: tuple[str, str] | None) -> str:
    """Return a loud warning when a password would cross a network unencrypted, "" otherwise.

    Args:
        url: Address of an Orthanc.
        credentials: What is sent there.

    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if credentials is None or parts.scheme != "http" or _is_loopback(host):
        return ""
    return (
        f"WARNING: user name and password go to {host} over plain http:// and everyone on the way can read them, "
        "and the images, too. Use https://."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
