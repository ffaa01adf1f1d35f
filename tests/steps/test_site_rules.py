"""The rule files of ``pixels.rules`` as a config reads, keeps and compares them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from ruamel.yaml import YAML

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.config.pixel_rules.sources import RuleText, builtin_text, risks_text
from deidflow.tasks.core.pixels.facts import PixelFacts
from deidflow.tasks.local.viewing.text_detector import can_detect
from deidflow.tasks.steps.run.identity import differences, run_identity
from deidflow.tasks.steps.run.settings import read_config

if TYPE_CHECKING:
    from pathlib import Path

RULE: Final = "rules:\n- name: ours\n  when: {Manufacturer: Acme}\n  clean: true\n"
SCRIPT: Final = '{ Manufacturer.equals("Acme") }\n(0,0,9,9)\n'
ACME: Final = PixelFacts({0x00080060: "US", 0x00080070: "Acme"})
DATA: Final[dict[str, Any]] = {
    "name": "trial",
    "manifest": "cohort.csv",
    "operation": "anonymize",
    "source": {"folder": "in"},
    "destination": {"folder": "out"},
    "profile_options": ["clean-pixel-data"],
}


def problems_of(folder: Path, **changes: Any) -> list[str]:
    """Read a config in a folder; return what is wrong with what it says of pixels."""
    path = folder / "trial.yaml"
    YAML().dump(DATA | changes, path)
    return [str(problem) for problem in read_config(path)[1]]


def config_with(*texts: RuleText, **pixels: Any) -> Config:
    """Return a config that knows rules."""
    config = Config.model_validate(DATA | {"profile": "ps3.15-2026d", "pixels": pixels or None})
    config.know_rules((*texts, risks_text()))
    return config


def test_files_of_both_forms_beside_the_builtin_rules(tmp_path: Path) -> None:
    """Paths are relative to the config."""
    (tmp_path / "site.yaml").write_text(RULE)
    (tmp_path / "site.script").write_text(SCRIPT)

    assert [] == problems_of(tmp_path, pixels={"rules": ["site.yaml", "builtin", "site.script"]})


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        ({"rules": ["none.yaml"]}, "key pixels.rules: not found: "),
        ({"rules": ["site.yaml", "site.yaml"]}, "key pixels.rules: must name each file once"),
        ({"rules": ["latin.yaml"]}, "key pixels.rules: must be UTF-8"),
        ({"rules": ["wrong.yaml"]}, "wrong.yaml, line 3, key rules.0.when.Manufaturer: unknown attribute"),
        ({"rules": ["wrong.script"]}, "wrong.script, line 2: a method must be one of"),
        ({"rules": "builtin"}, "key pixels.rules: must be a list"),
        ({"rule": []}, "key pixels.rule: unknown key; did you mean rules?"),
        ({"unmatched": "ignore"}, "key pixels.unmatched: must be one of"),
        ({"lossy": "maybe"}, "key pixels.lossy: must be one of"),
        ({"detect": 1}, "key pixels.detect: must be true or false"),
    ],
)
def test_what_is_wrong_is_told_with_key_or_line(tmp_path: Path, pixels: dict[str, Any], text: str) -> None:
    """Of the config, or of the rule file."""
    (tmp_path / "site.yaml").write_text(RULE)
    (tmp_path / "latin.yaml").write_bytes(RULE.encode() + b"# caf\xe9")
    (tmp_path / "wrong.yaml").write_text(RULE.replace("Manufacturer", "Manufaturer"))
    (tmp_path / "wrong.script").write_text("\n" + SCRIPT.replace("equals", "is"))

    found = problems_of(tmp_path, pixels=pixels)

    assert any(text in problem for problem in found), found


def test_detect_needs_the_extra(tmp_path: Path) -> None:
    """Without it nothing starts, and what to install is said; tests/steps/test_detected_text.py tries it with it."""
    found = problems_of(tmp_path, pixels={"detect": True})

    needs = [problem for problem in found if "key pixels.detect: needs the extra ocr: pip install" in problem]
    assert can_detect() == (needs == [])


def test_pixels_go_with_their_option_and_the_profile(tmp_path: Path) -> None:
    """Keys that nothing would read are refused."""
    alone = problems_of(tmp_path, pixels={"detect": True}, profile_options=[])
    without = problems_of(tmp_path, pixels={"detect": True}, options={"DicomVersion": "2023b"})

    assert any("key pixels: must be left out without clean-pixel-data" in problem for problem in alone)
    assert any("key pixels: must be left out without profile" in problem for problem in without)


def test_the_builtin_rules_are_the_default() -> None:
    """With the option and no other word."""
    config = config_with(builtin_text())
    choice = config.profile_choice

    assert choice is not None
    assert choice.pixels is not None
    assert ("refuse", "refuse", False, "lossless") == (
        choice.pixels.decide(ACME).action,
        choice.pixels.unmatched,
        choice.pixels.detects,
        choice.pixels.lossy,
    )


def test_a_run_keeps_the_rules_themselves() -> None:
    """The files may be gone when it is resumed or verified."""
    config = config_with(RuleText("site.yaml", RULE), rules=["site.yaml"], unmatched="accept")

    again = Config.from_json(json.loads(json.dumps(config.to_json())))

    assert again.profile_choice == config.profile_choice
    assert again.to_json() == config.to_json()
    assert again.profile_choice is not None
    assert again.profile_choice.pixels is not None
    assert "clean" == again.profile_choice.pixels.decide(ACME).action


@pytest.mark.parametrize(
    "other",
    [
        config_with(RuleText("site.yaml", RULE.replace("Acme", "Other")), rules=["site.yaml"]),
        config_with(RuleText("site.yaml", RULE), rules=["site.yaml"], unmatched="accept"),
        config_with(RuleText("site.yaml", RULE), builtin_text(), rules=["site.yaml", "builtin"]),
    ],
)
def test_other_rules_are_another_run(other: Config) -> None:
    """What differs is named by its key."""
    config = config_with(RuleText("site.yaml", RULE), rules=["site.yaml"])
    stored = run_identity(config, "manifest", "key")

    assert [] == differences(stored, run_identity(config, "manifest", "key"))
    assert ["pixels"] == [problem.key for problem in differences(stored, run_identity(other, "manifest", "key"))]
