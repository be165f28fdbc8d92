"""What chapter 6 says of its recorded runs, derived again from the records."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from by_hand import bootstrap, clopper_pearson, fisher, holm, middle_mean
from notebooks import printed, tables
from rlbook_helpers.experiments.records import load_records

DATA = Path(__file__).resolve().parents[2] / "chapters/data"
TEXT = printed("06_lander")


def test_table_of_three_environments():
    (rows,) = [t for t in tables("06_lander") if t[0][:2] == ["CartPole-v1", "第 4 章"]]
    rows = iter(rows)
    rng = np.random.default_rng(0)
    for env_id, chapter_4, stable, threshold in (
        ("CartPole-v1", "05_leave_one_out", "05_confirmation", 475),
        ("Acrobot-v1", "05_acrobot", "05_confirmation_acrobot", -100),
        ("LunarLander-v3", "05_lander", "05_confirmation_lander", 200),
    ):
        for plan, arm, name in (
            (chapter_4, "chapter_4", "第 4 章"),
            (stable, "stable", "stable"),
        ):
            record, row = load_records(DATA / "runs" / plan)[arm], next(rows)
            values = np.array([np.mean(run["evaluation"]) for run in record.runs])
            solved = (values >= threshold).sum()
            assert row[:3] == [env_id, name, f"{solved} / {len(values)}"]
            assert float(row[3]) == pytest.approx(middle_mean(values), abs=0.51)
            found = [float(x) for x in row[4].split("から")]
            wanted = bootstrap(values, rng)
            assert found == pytest.approx(wanted, abs=1 + np.ptp(wanted) / 5)
            assert int(row[5].replace(",", "")) == record.preset.steps


def test_mountain_car_reaches_the_goal():
    runs = load_records(DATA / "runs/06_mountain_car")["stable"].runs
    values = np.array([np.mean(run["evaluation"]) for run in runs])
    reached = [np.flatnonzero(np.array(run["returns"]) > -200) for run in runs]
    episodes = sum(len(run["returns"]) for run in runs)
    first = [int(goals[0]) + 1 for goals in reached]
    said = [
        f"ゴールに着いたエピソード: {sum(map(len, reached)):,} / {episodes:,}",
        f"はじめて着いたエピソード: {min(first)} 番目から {max(first)} 番目",
        f"ゴールに着けるようになったシード: {(values > -200).sum()} / 20",
        f"解けた (-110 以上): {(values >= -110).sum()} / 20",
    ]
    assert [line for line in said if line not in TEXT] == []
    assert (values >= -110).all()  # "20 個すべて"


def reached(plan, arm, nothing):
    """Per seed: training episodes that reached the goal, and the share of evaluations that did."""
    runs = load_records(DATA / f"runs/{plan}")[arm].runs
    goals = [sum(total != nothing for total in run["returns"]) for run in runs]
    shares = [sum(t != nothing for t in run["evaluation"]) / 100 for run in runs]
    return np.array(goals), np.array(shares)


def test_dense_and_sparse_rewards_are_not_told_apart():
    (rows,) = [rows for rows in tables("06_lander") if rows[0][0] == "毎ステップ −1"]
    met = []
    for row, (arm, nothing) in zip(rows, {"dense": -200, "sparse": 0}.items()):
        goals, shares = reached("06_sparse", arm, nothing)
        met.append(int((goals > 0).sum()))
        middle = np.sort(goals)[9:11].mean()
        assert row[1] == f"{met[-1]} / 20"
        assert float(row[2]) == pytest.approx(middle, abs=0.51)
        assert row[3] == f"{(shares > 0.5).sum()} / 20"
    p = fisher(met[0], 20, met[1], 20)
    assert f"ゴールに出会ったシードの数の差の p 値: {p:.2f}" in TEXT
    assert p > 0.05  # "わかりません"


def test_goals_met_without_learning():
    runs = load_records(DATA / "runs/06_persistence")
    met = {arm: sum(sum(r["returns"]) > 0 for r in runs[arm].runs) for arm in runs}
    p_values = [
        fisher(met[arm], 20, met["uniform"], 20) for arm in ("sticky", "untrained")
    ]
    assert f"uniform: {met['uniform']} / 20" in TEXT
    for arm, p in zip(("sticky", "untrained"), holm(p_values)):
        assert f"{arm}: {met[arm]} / 20, 補正した p 値 {p:.2g}" in TEXT
        assert p < 0.05


def test_landings_of_both_samples():
    first, again = (
        np.array([np.mean(run["evaluation"]) >= 200 for run in record.runs])
        for record in (
            load_records(DATA / f"runs/{plan}")["stable"]
            for plan in ("05_lander", "06_lander")
        )
    )
    for name, solved in (("はじめの 20 個", first), ("新しい 40 個", again)):
        low, high = clopper_pearson(int(solved.sum()), len(solved))
        line = f"{name}: {solved.sum()} / {len(solved)}, 95 % 区間 {low:.0%} から {high:.0%}"
        assert line in TEXT
    p = fisher(int(again.sum()), len(again), int(first.sum()), len(first))
    assert f"割合の差の p 値: {p:.3f}" in TEXT


def test_table_of_the_lock():
    (rows,) = [rows for rows in tables("06_lander") if rows[0][0] == "4"]
    assert [row[0] for row in rows] == ["4", "8", "12", "16", "20"]
    for n, expected, opened, chance, learned, interval in rows:
        goals, shares = reached("06_lock", f"n{n}", 0)
        k, met = int((shares > 0.5).sum()), int((goals > 0).sum())
        p = 1 - (1 - 0.5 ** int(n)) ** 10_000
        assert float(expected) == pytest.approx(20 * p, abs=0.051)
        ways = [math.comb(20, i) * p**i * (1 - p) ** (20 - i) for i in range(met, 21)]
        assert float(chance) == pytest.approx(sum(ways), rel=0.06)
        assert opened == f"{(goals > 0).sum()} / 20"
        assert learned == f"{k} / 20"
        found = [float(x.strip("% ")) / 100 for x in interval.split("から")]
        assert found == pytest.approx(clopper_pearson(k, 20), abs=0.0051)


def test_speed_of_the_lander():
    record = json.loads((DATA / "speed_lander.json").read_text("utf-8"))
    ours, theirs = map(np.array, record["steps_per_second"].values())
    assert f"1 秒あたりのステップ数: {np.median(ours):,.0f}" in TEXT
    assert f"Stable-Baselines3 と比べて: {np.median(ours / theirs):.1f} 倍" in TEXT
