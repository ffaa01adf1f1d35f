"""The set through the local engine, as ``configs/research-tcia.yaml`` asks, with ``clean-pixel-data``.

Public names: ``scored``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import describe_tag
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.steps.run.settings import load_config
from tests.local.edits import deidentify
from tests.midi.burned import pixel_choice
from tests.midi.made import made_set
from tests.midi.score import score

if TYPE_CHECKING:
    from tests.midi.score import Scores

_CONFIG: Final = Path(__file__).parents[2] / "configs" / "research-tcia.yaml"


def scored(count: int) -> Scores:
    """Make a set of so many instances, edit and score it."""
    config = load_config(_CONFIG)
    choice = config.profile_choice
    assert choice is not None
    removed = [describe_tag(path.tag) for path in config.defaults.edits.remove]
    made = list(made_set(count))
    pixels = pixel_choice(one.data for one in made if one.region is not None)
    choice = replace(choice, options=choice.options | {Option.CLEAN_PIXEL_DATA}, pixels=pixels)
    edit = deidentify(choice, {"Remove": removed})
    return score(((one, edit(one.data)) for one in made), choice.options, removed)
