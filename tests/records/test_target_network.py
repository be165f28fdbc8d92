"""What chapter 4 says of its recorded runs, derived again from the records by other means."""

from pathlib import Path

import numpy as np
import pytest

from by_hand import holm, permutation_p, u_statistic
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
    (rows,) = [rows for rows in tables("04_dqn") if len(rows[0]) == 5]
    rng = np.random.default_rng(0)
    adjusted = holm([permutation_p(SCORES[a], SCORES[b], rng) for a, b in pairs])
    for i, ((a, b), row) in enumerate(zip(pairs, rows)):
        assert row[:2] == [LABELS[a], LABELS[b]]
        wins = u_statistic(SCORES[a], SCORES[b]) / 400
        assert float(row[2]) == pytest.approx(100 * wins, abs=0.51)
        assert float(row[3]) == pytest.approx(adjusted[i], abs=0.02)
        better = LABELS[a if wins > 0.5 else b]
        assert row[4] == (better if float(row[3]) < 0.05 else "わからない")
