"""A deployment runs the configs that it is served with, whatever Prefect's API asks it for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from deidflow.flows.prefect_environment import SERVED, serve_only, served_configs
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.steps.run.served import find_served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def configs(tmp_path: Path) -> list[Path]:
    """Two configs that are served, and beside them one that is not."""
    paths = [tmp_path / f"{name}.yaml" for name in ("first", "second", "other")]
    for path in paths:
        path.write_text(f"name: {path.stem}-trial\nmanifest: cohort.csv\n")
    return paths[:2]


def test_by_its_name(configs: list[Path]) -> None:
    """The name in the config, not that of the file."""
    assert configs[1] == find_served("second-trial", configs)


def test_by_the_path_that_it_is_served_with(configs: list[Path]) -> None:
    """As deployments of earlier versions have it."""
    assert configs[0] == find_served(str(configs[0]), configs)


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "first",
        "other-trial",
        "{folder}/other.yaml",
        "{folder}/../{name}/other.yaml",
        "{folder}/first.yaml/../other.yaml",
        "/etc/SECRETNAME",
        "first-trial\n",
        "first-trial second-trial",
        "\0",
        "x" * 100_000,
    ],
    ids=range(11),
)
def test_nothing_else(configs: list[Path], tmp_path: Path, wanted: str) -> None:
    """The message names what there is and does not repeat what was wanted."""
    with pytest.raises(InvalidInput, match=r"must be the name of a config that is served here") as caught:
        find_served(wanted.format(folder=tmp_path, name=tmp_path.name), configs)

    assert "first-trial, second-trial" in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)


def test_two_of_one_name(configs: list[Path]) -> None:
    """Neither is run."""
    configs[1].write_text("name: first-trial\n")

    with pytest.raises(InvalidInput, match="two have it"):
        find_served("first-trial", configs)


def test_a_process_that_was_given_no_list_runs_none(configs: list[Path]) -> None:
    """The message says how to give one."""
    with pytest.raises(InvalidInput, match=SERVED):
        find_served("first-trial", None)
    with pytest.raises(InvalidInput, match="served here: none"):
        find_served(str(configs[0]), [])


@pytest.mark.parametrize("content", [None, "{{{", ""])
def test_a_config_that_cannot_be_read_any_more_is_named(configs: list[Path], content: str | None) -> None:
    """A night that fails since its config has gone, or is being written, says so."""
    configs[0].unlink()
    if content is not None:
        configs[0].write_text(content)
    with pytest.raises(InvalidInput) as caught:
        find_served("first-trial", configs)

    told = [str(problem) for problem in caught.value.problems]
    assert (2, True) == (len(told), str(configs[0]) in told[0]), told
    assert "served here: second-trial" in told[1]


def test_a_config_that_broke_meanwhile_is_not_in_the_way(configs: list[Path]) -> None:
    """Of the others."""
    configs[0].write_text("name: [")

    assert configs[1] == find_served("second-trial", configs)


def test_the_list_of_a_process(configs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of files and folders, in the environment of the process and of those that it starts."""
    monkeypatch.delenv(SERVED, raising=False)
    assert served_configs() is None
    monkeypatch.setenv(SERVED, f"{configs[0]}{os.pathsep}{tmp_path / 'folder'}")
    (tmp_path / "folder").mkdir()
    for name in ("b.yml", "a.yaml", "c.txt"):
        (tmp_path / "folder" / name).touch()
    assert [configs[0], tmp_path / "folder/a.yaml", tmp_path / "folder/b.yml"] == served_configs()
    monkeypatch.chdir(tmp_path)
    serve_only([path.relative_to(tmp_path) for path in configs])
    assert configs == served_configs()
