"""A sample of the set in MIDI-B's form; the whole is ``python -m tests.midi``."""

from __future__ import annotations

from tests.midi.made import FILES
from tests.midi.run import scored


def test_a_sample_is_met() -> None:
    """Each kind of file twice, for two patients."""
    scores = scored(2 * len(FILES))

    assert {"date_shifted", "patid_consistent", "pixels_retained", "tag_retained"} <= set(scores.met)
    assert {"text_removed", "text_retained", "uid_changed", "uid_consistent"} <= set(scores.met)
    assert scores.share >= 0.999, scores.missed
