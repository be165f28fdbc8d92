"""What chapter 7 says of its recorded curves, derived again from the records by other means."""

from pathlib import Path

import numpy as np
import pytest

from by_hand import holm, permutation_p
from notebooks import printed, tables
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.experiments.plans import load_plan
from rlbook_helpers.experiments.records import load_records

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PLAN = load_plan(CHAPTERS / "plans/07_clinic.toml")
RECORDS = load_records(CHAPTERS / "data/runs/07_clinic")
CURVES = {arm: [run["returns"] for run in RECORDS[arm].runs] for arm in PLAN.arms}
# The last 100 of 300 episodes, which are kept as means of 20
LAST = {arm: np.array(curve)[:, -5:].mean(axis=1) for arm, curve in CURVES.items()}


def test_every_patient_has_an_arm_and_a_small_record():
    assert set(PLAN.arms) == {"healthy", *PATIENTS}
    for arm, preset in PLAN.arms.items():
        assert getattr(preset, "patient", "healthy") == arm
    assert {len(curve) for curves in CURVES.values() for curve in curves} == {15}
    files = (CHAPTERS / "data/runs/07_clinic").glob("*.jsonl")
    assert sum(path.stat().st_size for path in files) <= 160_000


def test_planned_comparisons():
    """p values by permutation instead of SciPy's normal approximation, Holm by its definition."""
    (rows,) = [t for t in tables("07_clinic") if len(t) == 17 and len(t[0]) == 4]
    assert float(rows[0][1]) == pytest.approx(np.median(LAST["healthy"]), abs=0.51)
    rng = np.random.default_rng(0)
    p_values = [permutation_p(LAST[name], LAST["healthy"], rng) for name in PATIENTS]
    for k, (name, p, row) in enumerate(zip(PATIENTS, holm(p_values), rows[1:]), 1):
        assert row[0] == f"患者 {k}"
        assert float(row[1]) == pytest.approx(np.median(LAST[name]), abs=0.51)
        shown = 0.0 if row[2] == "< 0.001" else float(row[2])
        assert shown == pytest.approx(p, abs=0.02)
        if CURVES[name] == CURVES["healthy"]:
            assert row[3] == "一つも違わない"
        elif shown >= 0.05:
            assert row[3] == "わからない"
        else:
            higher = np.median(LAST[name]) > np.median(LAST["healthy"])
            assert row[3] == ("高い" if higher else "低い")


def test_two_bugs_leave_the_curves_unchanged():
    same = [name for name in PATIENTS if CURVES[name] == CURVES["healthy"]]
    assert {"exploring_evaluation", "clipped_reward"} <= set(same)
    text = printed("07_clinic")
    for name in ("exploring_evaluation", "clipped_reward"):
        assert f"✓ {PATIENTS[name].title}: 学習曲線がすべて同じ" in text
