"""What chapter 8 says of its recorded runs, derived again from the records by other means."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from by_hand import holm, permutation_p, u_statistic
from notebooks import tables
from rlbook_helpers.experiments.records import load_records

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PLAN = tomllib.loads((CHAPTERS / "plans/08_parts.toml").read_text("utf-8"))
RECORDS = {}
for folder in ("08_parts_replay", "08_parts", "08_parts_stream"):
    RECORDS |= load_records(CHAPTERS / "data/runs" / folder)
SCORES = {
    arm: np.sort([np.mean(run["evaluation"]) for run in record.runs])
    for arm, record in RECORDS.items()
}
PARTS = ("", "_target", "_norm", "_target_norm")
ARMS = [group + part for group in ("replay", "short", "long") for part in PARTS]
ARMS += ["stream"]


def test_table_of_arms():
    (rows,) = [rows for rows in tables("08_parts") if len(rows) == len(ARMS)]
    for arm, (_, _, solved, middle, seconds) in zip(ARMS, rows):
        values, k = SCORES[arm], len(SCORES[arm]) // 4
        assert int(solved) == (values >= 475).sum(), arm
        assert float(middle) == pytest.approx(values[k:-k].mean(), abs=0.51), arm
        wanted = np.median([run["seconds"] for run in RECORDS[arm].runs])
        assert float(seconds) == pytest.approx(wanted, abs=0.051), arm


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
        assert float(row[2]) == pytest.approx(p, abs=0.03)
        assert row[3] == ("差がある" if float(row[2]) < 0.05 else "わからない")
