"""What chapter 8 says of its recorded runs, derived again from the records by other means."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from by_hand import holm, permutation_p, u_statistic
from notebooks import tables
from rlbook_helpers.experiments.records import load_records

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PLAN = tomllib.loads((CHAPTERS / "plans/08_confirmation.toml").read_text("utf-8"))
RECORDS = {}
for folder in ("", "_replay", "_stream"):
    RECORDS |= load_records(CHAPTERS / f"data/runs/08_confirmation{folder}")
SCORES = {
    arm: np.sort([np.mean(run["evaluation"]) for run in record.runs])
    for arm, record in RECORDS.items()
}


def test_planned_comparisons():
    """p values by permutation instead of SciPy's normal approximation, Holm by its definition."""
    planned = PLAN["comparisons"]
    (rows,) = [rows for rows in tables("08_parts") if len(rows) == len(planned)]
    groups = [
        [np.concatenate([SCORES[arm] for arm in arms]) for arms in sides]
        for _, *sides in planned
    ]
    rng = np.random.default_rng(0)
    adjusted = holm([permutation_p(a, b, rng) for a, b in groups])
    for (name, *_), (a, b), p, row in zip(planned, groups, adjusted, rows):
        assert row[0] == name
        wins = 100 * u_statistic(a, b) / (len(a) * len(b))
        assert float(row[1]) == pytest.approx(wins, abs=0.51)
        told = float(row[2].removeprefix("< "))
        assert told == pytest.approx(p, rel=0.15, abs=0.03)
        assert row[3] == ("差がある" if told < 0.05 else "わからない")
