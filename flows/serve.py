"""``serve``: run each config on its own schedule, on a Prefect server, until stopped.

Public names: ``serve_configs``, ``deployment_of``, ``schedule_of``.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.settings import get_current_settings

from deidflow.flows.bulk_edit import bulk_edit
from deidflow.flows.prefect_environment import refusal, serve_only
from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable
from deidflow.tasks.core.files.locks import lock_service
from deidflow.tasks.core.processes.pool import start_tracker
from deidflow.tasks.one_at_a_time import settle_killed
from deidflow.tasks.shown import tags_of
from deidflow.tasks.steps.run.settings import load_config, load_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefect.schedules import Schedule

    from deidflow.tasks.core.config.config import Config

NO_SERVER = (
    "schedules need a Prefect server that goes on when this command ends: start one with `prefect server start` and "
    "set PREFECT_API_URL=http://127.0.0.1:4200/api"
)
_ASK_AGAIN_S: Final = 5.0
_SAY_AGAIN_S: Final = 60.0
_ASK_RUNS_S: Final = 0.2


def serve_configs(paths: tuple[Path, ...]) -> None:
    """Serve one deployment per config until stopped; a server that is away is waited for.

    Args:
        paths: Of configs with a schedule and a configured key.

    Raises:
        InvalidInput: A config is wrong, has no schedule or no key, two have one name, or there is no Prefect server.
        Unusable: The server refuses the login, or one of the configs is served already.

    """
    configs, problems = _checked(paths)
    url = get_current_settings().api.url
    if not url:
        problems.append(Problem(NO_SERVER))
    if problems:
        raise InvalidInput(problems)
    serve_only(paths)
    start_tracker()
    _answer_with(signal.default_int_handler)  # the first process of a container would ignore SIGTERM
    stopped = contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError)
    with lock_service(url or "", (config.name for config in configs)):
        with stopped:
            while _serve(configs):
                pass
        for process in multiprocessing.active_children():  # which went on without their server
            process.terminate()


def _serve(configs: list[Config]) -> bool:
    """Serve until stopped; return whether the server has gone or failed, and is to be waited for.

    Raises:
        Unusable: The server refuses the login, or Prefect ended the service.
        KeyboardInterrupt: It was stopped by Ctrl-C, or while it waited for the server.
        asyncio.CancelledError: It was stopped by another signal.

    """
    _wait_for_server()
    try:
        runner = _Runner(name="deidflow", pause_on_shutdown=True)
        for config in configs:
            settle_killed(config)
            # With the flow itself, so that nothing is loaded from where the server says that it is.
            runner.add_flow(bulk_edit, **deployment_of(config))
        print(f"serving {', '.join(config.name for config in configs)}; stop with Ctrl-C", file=sys.stderr)  # noqa: T201
        asyncio.run(runner.start())
    except Exception as error:  # noqa: BLE001 (of any library below)
        if status := _status_of_a_failure(error):
            text = f"the Prefect server answers with HTTP {status}; trying again (Ctrl-C stops)"
            print(text, file=sys.stderr)  # noqa: T201
            time.sleep(_ASK_AGAIN_S)
        elif _trouble() is None:  # the server is there, so it was not its going that ended this
            raise Unusable(f"Prefect ended the service: {type(error).__name__}") from None
        return True
    return False


def _status_of_a_failure(error: BaseException | None) -> int | None:
    """Return with which status of 500 and more a Prefect server, or a proxy before it, has caused an error.

    Prefect 3.8.8 makes of such an answer to a deployment an error of its own, and fails itself where it is no JSON.
    """
    while error is not None:
        if isinstance(error, PrefectHTTPStatusError):
            return error.response.status_code if error.response.is_server_error else None
        error = error.__cause__ or error.__context__
    return None


class _Runner(Runner):
    """Ends in good order on SIGTERM and when its terminal is closed, too, and the runs at work with it.

    Prefect 3.8.8 answers SIGTERM with a coroutine that it never awaits and an exception in the midst of its event loop,
    leaves the runs at work to themselves, and waits for their end: hours, after which a supervisor kills all of it.
    """

    _service: asyncio.Task[Any] | None = None

    async def start(self, *arguments: Any, **options: Any) -> None:
        """See ``Runner.start``."""
        self._service = asyncio.current_task()
        _answer_with(self.handle_sigterm)
        await super().start(*arguments, **options)

    def handle_sigterm(self, *_: Any, **__: Any) -> None:
        """Do what Ctrl-C does, once: a terminal that is closed may tell so twice.

        Not by that signal, which a shell has programs ignore that a script starts in the background. And what is told
        again is not ignored but answered with nothing: a run that is just being started would ignore it, too.
        """
        _answer_with(_pass)
        if self._service is None or self._service.done():  # the server has gone, and is waited for
            raise KeyboardInterrupt
        self._service.get_loop().call_soon_threadsafe(self._service.cancel)

    async def __aexit__(self, *error: object) -> None:
        """Stop the runs at work when this is stopped, and let them report; when the server has gone they go on."""
        if not isinstance(error[1], asyncio.CancelledError):
            await super().__aexit__(*error)
            return
        stopping = asyncio.create_task(_stop_runs())
        try:
            # Told of no error, it waits for the runs and tells the server how each ended.
            await super().__aexit__(None, None, None)
        except Exception as lost:  # noqa: BLE001 (of any library below; this is the end all the same)
            said = f"stopped, but Prefect ended with {type(lost).__name__}: schedules may not be paused"
            print(said, file=sys.stderr)  # noqa: T201
        finally:
            stopping.cancel()


def _pass(*_: object) -> None:
    """Answer a signal with nothing."""


def _answer_with(handler: Callable[..., Any]) -> None:
    """Have SIGTERM answered, and the end of the terminal; what is ignored stays so (nohup: that is to be outlived)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


async def _stop_runs() -> None:
    """Send SIGTERM to each process of a run, also to those that are only being started."""
    told: set[int | None] = set()
    while True:
        for process in multiprocessing.active_children():
            if process.pid not in told:
                told.add(process.pid)
                process.terminate()
        await asyncio.sleep(_ASK_RUNS_S)


def _checked(paths: tuple[Path, ...]) -> tuple[list[Config], list[Problem]]:
    """Return the configs, and every problem of all of them."""
    configs: list[Config] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            config = load_config(path)
        except InvalidInput as error:
            problems += error.problems
            continue
        problems += _check(path, config)
        if any(config.name == other.name for other in configs):
            problems.append(Problem("must be different in every config on the command line", str(path), key="name"))
        configs.append(config)
    return configs, problems


def _check(path: Path, config: Config) -> list[Problem]:
    problems = []
    if config.schedule is None:
        text = 'must be given to serve: {cron: "0 2 * * *"} or {interval: SECONDS}'
        problems.append(Problem(text, str(path), key="schedule"))
    if config.has_key:
        try:
            load_key(config)
        except InvalidInput as error:
            problems += error.problems
    else:
        text = "must be given to serve (key_env or key_file), or identifiers would differ from night to night"
        problems.append(Problem(text, str(path), key="pseudonyms"))
    return problems


def _wait_for_server() -> None:
    """Return once the Prefect server answers; say now and then that it does not.

    Raises:
        Unusable: It refuses the login, which does not pass by itself.

    """
    said: float | None = None
    while (error := _trouble()) is not None:
        if text := refusal(error):
            raise Unusable(text)
        if said is None or time.monotonic() - said >= _SAY_AGAIN_S:
            said = time.monotonic()
            url = get_current_settings().api.url
            print(f"the Prefect server at {url} does not answer; waiting for it (Ctrl-C stops)", file=sys.stderr)  # noqa: T201
        time.sleep(_ASK_AGAIN_S)


def _trouble() -> Exception | None:
    """Return what keeps the Prefect server from answering, None when it does."""
    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except Exception as error:  # noqa: BLE001 (of any library below)
        return error
    return None


def deployment_of(config: Config) -> dict[str, Any]:
    """Return what the deployment of one config is made from: its schedule.

    As ``Flow.to_deployment`` and ``Runner.add_flow`` take it; it knows names only, and no path.
    """
    return {
        "name": config.name,
        "parameters": {"config": config.name},
        "tags": tags_of(config),
        "schedule": schedule_of(config),
        "concurrency_limit": None,  # that of an earlier version goes, see tasks/one_at_a_time.py
    }


def schedule_of(config: Config) -> Schedule | None:
    """Return Prefect's form of a config's schedule."""
    if config.schedule is None:
        return None
    if config.schedule.cron is not None:
        return Cron(config.schedule.cron, timezone=config.schedule.timezone)
    return Interval(timedelta(seconds=config.schedule.interval or 0), timezone=config.schedule.timezone)
