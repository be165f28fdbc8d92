"""What chapter 4 says of its recorded runs, derived again from the records by other means."""

from pathlib import Path

import numpy as np
import pytest

from by_hand import bootstrap, holm, permutation_p, u_statistic
from notebooks import tables
from rlbook_helpers.experiments.plans import load_plan
from rlbook_helpers.experiments.records import load_records

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
RUNS = CHAPTERS / "data/runs"
PLAN = load_plan(CHAPTERS / "plans/04_target_network.toml")
RECORDS = load_records(RUNS / "04_target_network")
SCORES = {
    arm: np.sort([np.mean(run["evaluation"]) for run in record.runs])
    for arm, record in RECORDS.items()
}
# The rows of the two tables of the chapter, by arm
FOUR = ["neither", "target", "replay", "both"]
SWEEP = ["replay", "n10", "n30", "n100", "n300", "n1000", "n3000", "both"]
FIVE = [rows for rows in tables("04_dqn") if len(rows[0]) == 5]


@pytest.mark.parametrize("arms", [FOUR, SWEEP], ids=["four", "sweep"])
def test_solved_seeds_means_and_intervals(arms):
    (rows,) = [rows for rows in FIVE if len(rows) == len(arms) and rows[0][1].isdigit()]
    rng = np.random.default_rng(0)
    for arm, (_, solved, mean, low, high) in zip(arms, rows):
        values = SCORES[arm]
        assert int(solved) == (values >= 475).sum(), arm
        assert float(mean) == pytest.approx(values[5:15].mean(), abs=0.51), arm
        # two independent bootstraps of 2,000 and 4,000 draws differ by a few units
        wanted = bootstrap(values, rng)
        assert [float(low), float(high)] == pytest.approx(wanted, abs=15), arm


LABELS = {
    "neither": "どちらもなし",
    "target": "ターゲットネットワークだけ",
    "replay": "経験再生だけ",
    "both": "両方",
    "n100": "経験再生と 100 ステップごとの同期",
}


def test_planned_comparisons():
    """p values by permutation instead of SciPy's normal approximation, Holm by its definition."""
    pairs = PLAN.texts["comparisons"]
    (rows,) = [
        rows
        for rows in FIVE
        if len(rows) == len(pairs) and rows[0][0] in LABELS.values()
    ]
    rng = np.random.default_rng(0)
    adjusted = holm([permutation_p(SCORES[a], SCORES[b], rng) for a, b in pairs])
    for i, ((a, b), row) in enumerate(zip(pairs, rows)):
        assert row[:2] == [LABELS[a], LABELS[b]]
        wins = u_statistic(SCORES[a], SCORES[b]) / 400
        assert float(row[2]) == pytest.approx(100 * wins, abs=0.51)
        assert float(row[3]) == pytest.approx(adjusted[i], abs=0.02)
        better = LABELS[a if wins > 0.5 else b]
        assert row[4] == (better if float(row[3]) < 0.05 else "わからない")
