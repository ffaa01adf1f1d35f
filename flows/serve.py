"""``serve``: run each config on its own schedule, on a Prefect server, until stopped.

Public names: ``serve_configs``, ``deployment_of``.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.schedules import Cron, Interval
from prefect.settings import get_current_settings

from deidflow.flows.bulk_edit import bulk_edit
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.settings import load_config, load_key

if TYPE_CHECKING:
    from pathlib import Path

    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

    from deidflow.tasks.core.config import Config

NO_SERVER = (
    "schedules need a Prefect server that goes on when this command ends: start one with `prefect server start` and "
    "set PREFECT_API_URL=http://127.0.0.1:4200/api"
)


def serve_configs(paths: tuple[Path, ...]) -> None:
    """Serve one deployment per config until stopped.

    Args:
        paths: Of configs with a schedule and a configured key.

    Raises:
        InvalidInput: A config is wrong, has no schedule or no key, two have one name, or there is no Prefect server.

    """
    configs = [load_config(path) for path in paths]
    problems = [problem for path, config in zip(paths, configs, strict=True) for problem in _check(path, config)]
    names = [config.name for config in configs]
    problems += [
        Problem("another config on the command line has the same name", str(path), key="name")
        for path, name in zip(paths, names, strict=True)
        if names.count(name) > 1
    ]
    if not get_current_settings().api.url:
        problems.append(Problem(NO_SERVER))
    if problems:
        raise InvalidInput(problems)
    deployments = [deployment_of(path, config) for path, config in zip(paths, configs, strict=True)]
    print(f"serving {', '.join(names)}; stop with Ctrl-C", file=sys.stderr)  # noqa: T201
    serve(*deployments, print_starting_message=False)


def _check(path: Path, config: Config) -> list[Problem]:
    problems = []
    if config.schedule is None:
        text = 'is needed by serve: {cron: "0 2 * * *"} or {interval: SECONDS}'
        problems.append(Problem(text, str(path), key="schedule"))
    if config.has_key:
        load_key(config)
    else:
        text = "serve needs a configured key, or each night's identifiers would differ: key_env or key_file"
        problems.append(Problem(text, str(path), key="pseudonyms"))
    return problems


def deployment_of(path: Path, config: Config) -> RunnerDeployment:
    """Return the deployment of one config: its schedule, and never two runs of it at a time."""
    return bulk_edit.to_deployment(  # type: ignore[return-value]
        name=config.name,
        parameters={"config": str(path.absolute())},
        schedule=schedule_of(config),
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    )


def schedule_of(config: Config) -> Schedule | None:
    """Return Prefect's form of a config's schedule."""
    if config.schedule is None:
        return None
    if config.schedule.cron is not None:
        return Cron(config.schedule.cron, timezone=config.schedule.timezone)
    return Interval(timedelta(seconds=config.schedule.interval or 0), timezone=config.schedule.timezone)
