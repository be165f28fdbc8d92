"""What chapter 7 says of its recorded curves, derived again from the records by other means."""

import json
from pathlib import Path

import bs4
import numpy as np
import pytest

from by_hand import holm, permutation_p
from notebooks import outputs, tables
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.experiments.plans import load_plan
from rlbook_helpers.experiments.records import load_records

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PLAN = load_plan(CHAPTERS / "plans/07_clinic.toml")
RECORDS = load_records(CHAPTERS / "data/runs/07_clinic")
FOUND = json.loads((CHAPTERS / "data/clinic.json").read_text("utf-8"))
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
    same = {name for name in PATIENTS if CURVES[name] == CURVES["healthy"]}
    assert same == {"exploring_evaluation", "clipped_reward"}


def test_cards_show_the_records():
    """The last totals, the evaluation and the verdict; below them, folded, first findings and answer."""
    (html,) = [text for text in outputs("07_clinic") if "<details>" in text]
    cards = bs4.BeautifulSoup(html, "html.parser").find_all(class_="admonition")
    (rows,) = [t for t in tables("07_clinic") if len(t) == 17 and len(t[0]) == 4]
    for (name, patient), row, card in zip(
        PATIENTS.items(), rows[1:], cards, strict=True
    ):
        findings, answer = (fold.extract().get_text() for fold in card("details"))
        assert (
            patient.title in answer
            and patient.line in answer
            and patient.broken in answer
        )
        totals = np.median([np.mean(run["evaluation"]) for run in RECORDS[name].runs])
        shown = card.get_text()
        assert row[0] in shown and f"「{row[3]}」" in shown
        assert f"報酬 {row[1]}、評価 {totals:.0f}" in shown
        for earlier in (shown, findings):
            assert patient.title not in earlier and name not in earlier
        ill = [s for result, s in FOUND[name]["findings"].values() if result == "異常"]
        assert all(sentence in findings for sentence in ill[:3])
        assert not any(sentence in shown for sentence in ill)
        assert (f"ほかに {len(ill) - 3} 件" in findings) == (len(ill) > 3)
