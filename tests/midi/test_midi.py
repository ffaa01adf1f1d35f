"""A sample of the set in MIDI-B's form; the whole is ``python -m tests.midi``, its figures stand in docs/midi.md."""

from __future__ import annotations

from tests.midi.made import FILES
from tests.midi.run import scored


def test_a_sample_is_met() -> None:
    """Each kind of file twice, for two patients each: what is missed are words that text cleaning does not know."""
    scores = scored(2 * len(FILES))

    assert {"date_shifted", "patid_consistent", "tag_retained"} <= set(scores.met)
    assert {"pixels_hidden", "pixels_retained"} <= set(scores.met)
    assert {"text_removed", "text_retained", "uid_changed", "uid_consistent"} <= set(scores.met)
    assert {action for action, _ in scores.missed} <= {"text_retained"}
    assert scores.share >= 0.999, scores.missed
