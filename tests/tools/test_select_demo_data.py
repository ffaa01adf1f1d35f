"""The demo data is exactly what its script selects from the pinned pydicom."""

from tests.tools.select_demo_data import DEMO_DATA, select


def test_checked_in_selection() -> None:
    """The folder holds the chosen files byte for byte, at least 60 of them, and nothing else."""
    chosen = {name: source.read_bytes() for source, name in select()}
    stored = {p.relative_to(DEMO_DATA): p.read_bytes() for p in DEMO_DATA.rglob("*") if p.is_file()}

    assert chosen == stored
    assert len(stored) >= 60
