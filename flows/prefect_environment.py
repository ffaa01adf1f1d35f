"""What Prefect must find in the environment before it is imported, and what of its private interfaces is used.

A user's own settings win.

Public names: ``prepare_prefect``, ``go_by_no_proxy``, ``importing_prefect``, ``prepare_temporary``,
``no_other_server``, ``say_lost_server_once``, ``leave_threads``, ``refusal``, ``served_configs``, ``serve_only``,
``SERVED``.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from deidflow.tasks.core.errors import Unusable, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SERVED: Final = "DEIDFLOW_CONFIGS"
"""Environment variable with the paths of the configs that deployments may run: files, and folders of ``*.yaml``."""

_HOME: Final = "PREFECT_HOME"
_DEFAULTS: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}
_ELSEWHERE: Final = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
"""Where a user says that there is a server, beside files."""
_REFUSED: Final = (401, 403)
_ATTENDED: Final = {"PREFECT_CLIENT_MAX_RETRIES": "4", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING"}
"""A command whose server has died asks it for its last three states: 30 s each, where Prefect's five retries take 62 s.

A service keeps those: a server that is started again is back within a minute, and nobody is there to resume a run. The
command shows its progress itself, and only Prefect's server gets the lines of its log.
"""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_NO_PROXY: Final = ("no_proxy", "NO_PROXY")
"""The first that is set counts, as for curl and for Python."""


def prepare_prefect(runs_dir: Path | None = None, *, attended: bool = False) -> None:
    """Give Prefect a home of its own, quiet and private defaults, and all programs a folder for temporary files.

    Args:
        runs_dir: Where a home is made when the user has none that can be written, as in a container; ``runs`` in the
            current folder when left out.
        attended: Whether a person waits for the end of this command, who is told soon when the server has gone.

    Raises:
        Unusable: No home can be made.

    """
    runs_dir = runs_dir or Path.cwd() / "runs"
    prepare_temporary(runs_dir)
    home = os.environ.get(_HOME)
    if home is None:
        home = next((str(folder) for folder in _state_folders() if _is_ours(folder)), None)
        home = home or str(runs_dir / ".prefect")
    try:
        _make_private(Path(home))
    except OSError as error:
        text = f"Prefect's home {home} cannot be used: {os_error_text(error)}"
        raise Unusable(f"{text}; set {_HOME} to a folder that can be written") from None
    os.environ[_HOME] = home
    try:
        Path.home()
    except RuntimeError:  # no HOME, and no entry for this user: Prefect's plug-ins ask for it nevertheless
        os.environ["HOME"] = home
    for name, value in (_DEFAULTS | (_ATTENDED if attended else {})).items():
        os.environ.setdefault(name, value)
    _keep_from_proxies()
    # Nobody reads the log of a server that ends with the command.
    seen = not attended or "PREFECT_API_URL" in os.environ
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if seen else "WARNING")
    if attended:
        logging.raiseExceptions = False  # what cannot be logged is told on the console anyway


def _keep_from_proxies() -> None:
    """Have Prefect's client go to servers of this machine itself, and not by a proxy that is for the internet."""
    with contextlib.suppress(ValueError):  # no address, which Prefect says itself
        if urlsplit(os.environ.get("PREFECT_API_URL", "")).hostname in _LOOPBACK:
            go_by_no_proxy()
    said = next((os.environ[name] for name in _NO_PROXY if os.environ.get(name)), "")
    names = [name.strip() for name in said.split(",") if name.strip()]
    text = ",".join([*names, *(name for name in _LOOPBACK if name not in names)])
    if "*" not in names:  # it means all, and for some only where nothing stands beside it
        os.environ.update(dict.fromkeys(_NO_PROXY, text))


def go_by_no_proxy() -> None:
    """Have Prefect's client go to all servers itself: it cannot begin where it has no use for one of the proxies.

    SOCKS needs a package that is not ours, and the address of another may be none, whatever it is to be used for.
    """
    os.environ.update(dict.fromkeys(_NO_PROXY, "*"))


@contextlib.contextmanager
def importing_prefect() -> Iterator[None]:
    """Say what to look at where Prefect, which reads its settings when it is imported, refuses them; it says why.

    Raises:
        Unusable: It does.

    """
    try:
        yield
    except ValueError as error:  # pydantic's, and that of files in TOML; their texts may hold a login
        text = "Prefect refuses its settings; mend the variables PREFECT_*, or prefect.toml, .env or profiles.toml"
        raise Unusable(text) from error


def prepare_temporary(folder: Path) -> None:
    """Have temporary files made in a folder where the system has no place for them, as on a read-only root.

    Args:
        folder: One that can be written, made when it is missing.

    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        place = folder / ".temporary"
        try:
            _make_private(place)
        except OSError as error:
            text = f"no folder for temporary files: {place} cannot be used: {os_error_text(error)}"
            raise Unusable(f"{text}; set TMPDIR to a folder that can be written") from None
        os.environ["TMPDIR"] = tempfile.tempdir = str(place)


def _state_folders() -> list[Path]:
    """Return where the user's state may be kept, best first (XDG Base Directory Specification 0.8)."""
    if state := os.environ.get("XDG_STATE_HOME"):
        return [Path(state) / "deidflow" / "prefect"]
    home = os.environ.get("HOME")
    return [Path(home) / ".local" / "state" / "deidflow" / "prefect"] if home else []


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there or can be made, and can be written."""
    try:
        _make_private(folder)
    except OSError:
        return False
    return True


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def serve_only(paths: Iterable[Path]) -> None:
    """Let the deployments of this process and of those that it starts run these configs, and no others."""
    os.environ[SERVED] = os.pathsep.join(str(path.absolute()) for path in paths)


def served_configs() -> list[Path] | None:
    """Return the configs that deployments may run, None when nobody has said."""
    value = os.environ.get(SERVED)
    if value is None:
        return None
    found: list[Path] = []
    for name in filter(None, value.split(os.pathsep)):
        path = Path(name)
        found += sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    return found


class _WithoutLostServer(logging.Filter):
    """Drops what Prefect logs, with a traceback, when its server does not answer.

    And of a task that returned how it failed, with a traceback of nothing (``NoneType: None``); its state follows.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.exc_info and error is None:
            return False
        return not any(base.__module__.startswith(("httpx", "httpcore")) for base in type(error).__mro__)


def say_lost_server_once() -> None:
    """Leave it to the command to say that Prefect's server has gone: what is done and what is not, the ledger knows.

    Events that the server does not get any more are nobody's loss, and their tracebacks no news.
    """
    for name in ("prefect.events", "EventsWorker"):  # the second counts them aloud while the command ends
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_WithoutLostServer())


def _settings() -> Any:
    return importlib.import_module("prefect.settings").get_current_settings()


def no_other_server() -> bool:
    """Whether it is certain, before Prefect is imported, that no server is named.

    Nothing could name one, or say what it is like, but this process's environment.
    """
    here, home = Path.cwd(), os.environ.get(_HOME)
    if "prefect" in sys.modules or any(os.environ.get(name) for name in _ELSEWHERE):
        return False
    homes = [Path(home)] if home else [folder for folder in _state_folders() if _is_ours(folder)][:1]
    files = [here / ".env", here / "prefect.toml", *(folder / "profiles.toml" for folder in homes)]
    if not homes or any(file.exists() for file in files):
        return False
    project = here / "pyproject.toml"
    return not project.exists() or b"tool.prefect" not in project.read_bytes()


def refusal(error: BaseException | None) -> str:
    """Say that a Prefect server does not let this process in, "" when an error is another one."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status not in _REFUSED:
        return ""
    return (
        f"the Prefect server at {_settings().api.url} refuses the login ({status}); set PREFECT_API_AUTH_STRING "
        "(USER:PASSWORD, of a server of your own) or PREFECT_API_KEY (Prefect Cloud) to what it asks for"
    )


def leave_threads(runner: Any) -> None:
    """Give up the threads of Prefect's ``ThreadPoolTaskRunner``, whose own end waits for those that sleep."""
    if runner._executor is not None:  # noqa: SLF001
        runner._executor.shutdown(wait=False, cancel_futures=True)  # noqa: SLF001
        runner._executor = None  # noqa: SLF001
