"""Config files, ``--set`` and secrets: the only module that reads configuration files and environment variables.

Public names: ``load_config``, ``read_config``, ``check_files``, ``load_key``, ``load_credentials``,
``credential_warning``, ``read_config_text``, ``runs_dir_of``.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from deidflow.tasks.core.config.checks import cross_check, give_default_profile
from deidflow.tasks.core.config.config import Config, OrthancAccess
from deidflow.tasks.core.config.messages import describe
from deidflow.tasks.core.config.options import read_options
from deidflow.tasks.core.config.overrides import apply_override
from deidflow.tasks.core.config.pixel_rules.sources import BUILTIN
from deidflow.tasks.core.config.private_keep import read_private_keep
from deidflow.tasks.core.config.types import has_variable, is_address
from deidflow.tasks.core.config.yaml import YamlDocument, read_yaml
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.files.plain_files import NotPlainError, read_plain_file, trouble_with
from deidflow.tasks.core.files.standard_streams import given_input
from deidflow.tasks.core.pseudonyms.pseudonyms import WHAT_TO_DO_WITHOUT_A_KEY, Key, is_key_itself
from deidflow.tasks.steps.run.site_rules import read_site_rules
from deidflow.tasks.steps.run.site_words import read_site_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PATH_KEYS: Final = (
    ("manifest",),
    ("source", "folder"),
    ("destination", "folder"),
    ("report", "runs_dir"),
    ("export", "folder"),
    ("pseudonyms", "key_file"),
    ("private", "keep"),
    ("orthanc", "ca_file"),
    ("text", "keep"),
    ("pixels", "rules"),
)
_NOT_FILLED: Final = "must be a path as it is: no variables are filled in (only ~); or make a folder called so"
_NOT_HERE: Final = "(the secret itself never stands here)"
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


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read and check a config, see ``read_config``.

    Raises:
        InvalidInput: With every problem, each with file, line and key.

    """
    config, problems = read_config(path, overrides)
    if problems or config is None:
        raise InvalidInput(problems)
    return config


def read_config(
    path: Path, overrides: Iterable[str] = (), *, manifest: Path | None = None, runs_dir: Path | None = None
) -> tuple[Config | None, list[Problem]]:
    """Read a config; nothing is changed, and of the files that it names only the site's lists are opened.

    Args:
        path: The YAML file; relative paths in it start at its folder.
        overrides: ``KEY=VALUE`` of each ``--set``; relative paths start at the current folder, as in what follows.
        manifest: Of ``--manifest``, takes the place of the config's.
        runs_dir: Of ``--runs-dir``, takes the place of the config's.

    Returns:
        The config and no problems; or else what is left of it without the keys that are wrong (None when that is too
        little), never to be run but good for finding what else is wrong, and every problem.

    Raises:
        InvalidInput: The file cannot be read at all.

    """
    content = _read(path)
    document = read_yaml(_decoded(content, path), str(path))
    data = document.data
    flags: dict[str, str] = {}
    problems: list[Problem] = []
    for override in overrides:
        try:
            flags[apply_override(data, override)] = "--set"
        except BadText as error:
            problems.append(replace(error.problem, file=f"--set {override.partition('=')[0]}"))
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
    unfilled = [Problem(_NOT_FILLED, key=key) for key in _resolve_paths(data, path, origin)]
    give_default_profile(data)
    config, found = _check(data)
    found += unfilled
    if config is not None and config.text is not None:
        found += read_site_words(config)
    if config is not None:
        found += _read_site_attributes(config) + read_site_rules(config)
    problems += [problem if problem.file else origin.place(problem) for problem in found]
    if problems or config is None:
        problems.sort(key=lambda problem: (problem.file != str(path), problem.line))
        return _without(data, problems), problems
    config.know_file(content)
    return config, []


def _without(data: dict[str, Any], problems: list[Problem]) -> Config | None:
    """Return a config without the keys that are wrong, None when too little is left."""
    required = {"name": "unnamed", "manifest": os.devnull, "operation": "anonymize", "source": {}}
    left = required | deepcopy(data)
    for problem in problems:
        group: Any = left
        *groups, last = problem.key.split(".")
        for name in groups:
            group = group.get(name) if isinstance(group, dict) else None
        if isinstance(group, dict):
            group.pop(last, None)
    try:
        return Config.model_validate(required | left)
    except ValidationError:
        return None


def runs_dir_of(path: Path) -> Path:
    """Return where a config has its run folders, or would have them if it could be read."""
    try:
        return load_config(path).report.runs_dir
    except InvalidInput:
        return path.absolute().parent / "runs"


def read_config_text(path: Path) -> str:
    """Read a config file.

    Raises:
        InvalidInput: It is not there, no plain file, or no UTF-8.

    """
    return _decoded(_read(path), path)


def _read(path: Path) -> bytes:
    try:
        return read_plain_file(path)[0]
    except OSError as error:
        raise InvalidInput([Problem(trouble_with(path, error), str(path))]) from None


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidInput([Problem("must be UTF-8; save it as UTF-8", str(path), line)]) from None


def _resolve_paths(data: dict[str, Any], config: Path, origin: _Origin) -> list[str]:
    """Make paths absolute; return the keys of those that hold a variable, which nothing fills in."""
    unfilled = []

    def absolute(text: object, key: str) -> object:
        if not isinstance(text, str) or not text or (key == "pixels.rules" and text == BUILTIN):
            return text
        if is_address(text):  # refused as such; as a path it would be a folder that nobody meant
            return text
        if origin.flag(key) and given_input(Path(text)) is not None:
            return text
        base = Path.cwd() if origin.flag(key) else config.absolute().parent
        return os.path.normpath(base / os.path.expanduser(text))  # noqa: PTH111 (Path's raises)

    for *groups, key in _PATH_KEYS:
        group: Any = data
        for name in groups:
            group = group.get(name) if isinstance(group, dict) else None
        value = group.get(key) if isinstance(group, dict) else None
        name = ".".join((*groups, key))
        if value:
            listed = [absolute(text, name) for text in value] if isinstance(value, list) else None
            group[key] = absolute(value, name) if listed is None else listed
            if any(isinstance(path, str) and has_variable(path) for path in listed or [group[key]]):
                unfilled.append(name)
    return unfilled


def _read_site_attributes(config: Config) -> list[Problem]:
    """Read the files of ``private.keep`` into a config; return what is wrong with them."""
    attributes, problems = [], []
    for path in config.private.keep if config.private is not None else ():
        try:
            attributes += read_private_keep(read_plain_file(path)[0], str(path))
        except OSError as error:
            problems.append(Problem(trouble_with(path, error), key="private.keep"))
        except InvalidInput as error:
            problems += error.problems
    config.know_attributes(attributes)
    return problems


def _check(data: dict[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Return the config, or else every problem by key."""
    problems: list[Problem] = []
    config = None
    try:
        config = Config.model_validate(data)
        problems += config.option_problems
    except ValidationError as error:
        problems += describe(error)
        options = data.get("options", {})
        if isinstance(options, dict):
            problems += read_options(options).problems
    problems += cross_check(data)
    return config, problems


def check_files(config: Config) -> list[Problem]:
    """Find files and folders that a run needs and that are not there.

    Apart from ``load_config``, since a schedule may be served before tonight's manifest exists.
    """
    checks = (
        ("manifest", config.manifest, False, "; `deidflow inventory` makes one"),
        ("source.folder", config.source.folder, True, ""),
        ("orthanc.ca_file", config.orthanc.ca_file, False, ""),
    )
    problems = []
    for key, path, is_folder, remedy in checks:
        if path is not None and (text := _missing(path, is_folder=is_folder)):
            problems.append(Problem(text + remedy, key=key))
    return problems


def _missing(path: Path, *, is_folder: bool) -> str:
    """Say what is wrong with a path that is to be a plain file or a folder, "" when nothing is."""
    if not is_folder and given_input(path) is not None:
        return ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (as every system call here)
    except OSError as error:
        return trouble_with(path, error)
    if is_folder:
        return "" if stat.S_ISDIR(mode) else f"must be a folder: {path}"
    return "" if stat.S_ISREG(mode) else trouble_with(path, NotPlainError())


def load_key(config: Config) -> Key | None:
    """Return the configured key, None when none is configured.

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
        key, text = "pseudonyms.key_env", os.environ.get(name, "")
        if not text.strip():
            text = f"the environment variable {name} must be set; {WHAT_TO_DO_WITHOUT_A_KEY}"
            if is_key_itself(name):  # in hex it may look like the name of one
                text = f"must be the name of an environment variable, as in DEIDFLOW_KEY {_NOT_HERE}"
            raise InvalidInput([Problem(text, key=key)])
    try:
        return Key.parse(text)
    except BadText as error:
        raise InvalidInput([replace(error.problem, key=key)]) from None


def _read_key_file(path: Path) -> str:
    key = "pseudonyms.key_file"
    try:
        data, mode = read_plain_file(path, _MAX_KEY_FILE_BYTES)
    except OSError as error:
        # What leads nowhere may be the key itself, and is not repeated.
        text = f"must be the path of a file that is there and holds the key {_NOT_HERE}"
        if os.path.lexists(path):
            text = trouble_with(path, error)
        raise InvalidInput([Problem(f"{text}; {WHAT_TO_DO_WITHOUT_A_KEY}", key=key)]) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInput([Problem("must be readable by its owner only; give it mode 0600 (chmod 600)", key=key)])
    return data.decode("ascii", "replace")


def load_credentials(access: OrthancAccess) -> tuple[str, str] | None:
    """Return user name and password for Orthanc, None when neither variable is set.

    Raises:
        InvalidInput: One of the two is not set, or one that the config names itself.

    """
    keys = ("username_env", "password_env")
    names = [getattr(access, key) for key in keys]
    values = [os.environ.get(name, "") for name in names]
    if all(values):
        return values[0], values[1]
    problems = [
        Problem(f"the environment variable {name} must be set", key=f"orthanc.{key}")
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
