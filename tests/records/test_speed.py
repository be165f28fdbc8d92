"""The benchmark of speed, its committed record, and the claims of chapter 8."""

import gc
import itertools
import json
import sys
import tracemalloc
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import run
from ladder import LADDER
from rlbook_helpers import DQNAgent, ReplayBuffer, train_episode

ROOT = Path(__file__).resolve().parents[2]

RECORD = json.loads((ROOT / "chapters/data/speed.json").read_text(encoding="utf-8"))


def test_record_names_its_machine_and_versions():
    assert RECORD["date"] and RECORD["processor"] and RECORD["python"]
    assert {"numpy", "dezero", "gymnasium", "torch"} <= set(RECORD["versions"])
    rounds = {len(speeds) for speeds in RECORD["steps_per_second"].values()}
    assert len(rounds) == 1 and rounds.pop() >= 5


@pytest.mark.parametrize(
    ("other", "wanted"), [("literal", 3.0), ("pytorch", 4.0), ("floor", 0.7)]
)
def test_record_reaches_the_goals(other, wanted):
    assert run.ratio(RECORD, "ours", other) >= wanted


def test_record_of_the_lander_reaches_its_goal():
    path = ROOT / "chapters/data/speed_lander.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert {"torch", "stable-baselines3"} <= set(record["versions"])
    assert len(record["steps_per_second"]["ours"]) >= 5
    assert run.ratio(record, "ours", "stable_baselines3") >= 2.5


def test_claims_of_the_chapter_follow_from_the_record():
    parts = RECORD["microseconds"]["literal"]
    total = parts["total"]
    others = total - sum(value for part, value in parts.items() if part != "total")
    assert parts["backward"] + parts["optimize"] > total / 2
    assert others < total / 10  # the environment
    times = {name: 1 / run.ratio(RECORD, name, "literal") for name in LADDER}
    names = list(LADDER)
    saved = {b: times[a] - times[b] for a, b in itertools.pairwise(names)}
    assert sorted(saved, key=saved.get)[-2:] == ["flat_adam", "fused"]
    assert times["no_graph"] > 0.9  # the first two changes gain next to nothing
    assert abs(times["ours"] / times["fused"] - 1) < 0.05
    # The checks: no difference that can be seen
    rounds = zip(*(RECORD["steps_per_second"][name] for name in ("ours", "fused")))
    gains = [ours / fused for ours, fused in rounds]
    assert min(gains) < 1 < max(gains)


@pytest.mark.skipif(np.__version__ < "2", reason="float64 spreads with NumPy 2")
@pytest.mark.parametrize("name", [name for name in LADDER if name != "ours"])
def test_gradients_are_float32_with_the_fused_loss_only(name):
    """DeZero's mean squared error multiplies by a float64 number; so chapter 10 says."""
    kept = np.random.get_state()
    agent = LADDER[name](0)
    np.random.set_state(kept)
    state, zeros = np.ones((32, 4), np.float32), np.zeros(32, np.float32)
    agent.learn(state, zeros.astype(int), zeros, state, zeros.astype(np.int32))
    wanted = np.float32 if name == "fused" else np.float64
    assert {p.grad.data.dtype.type for p in agent.qnet.params()} == {wanted}


@pytest.mark.parametrize("name", [name for name in LADDER if name != "ours"])
def test_every_rung_of_the_ladder_computes_the_same(name):
    rng = np.random.default_rng(0)
    batch = (
        rng.standard_normal((32, 4), dtype=np.float32),
        rng.integers(2, size=32),
        rng.random(32, dtype=np.float32),
        rng.standard_normal((32, 4), dtype=np.float32),
        rng.integers(2, size=32).astype(np.int32),
    )
    kept = np.random.get_state()
    agents = [LADDER["literal"](0), LADDER[name](0)]
    np.random.set_state(kept)
    for agent in agents:
        for net, seed in ((agent.qnet, 1), (agent.qnet_target, 2)):
            weights = np.random.default_rng(seed)
            for layer in (net.l1, net.l2, net.l3):
                for p in (layer.W, layer.b):
                    p.data[...] = weights.standard_normal(p.shape) / 10
    for _ in range(5):
        literal, other = (float(agent.learn(*batch)) for agent in agents)
        assert other == pytest.approx(literal, rel=1e-4)


def bench(monkeypatch, tmp_path, *arguments):
    """The record that `run.py` writes with these arguments."""
    out = tmp_path / "new" / "bench.json"
    command = ["run.py", "--steps", "60", *arguments, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    run.main()
    return json.loads(out.read_text(encoding="utf-8"))["steps_per_second"]


def test_benchmark_prints_a_table_and_writes_its_record(monkeypatch, tmp_path, capsys):
    speeds = bench(monkeypatch, tmp_path, "--rounds", "2")
    assert {"literal", "ours", "floor"} <= set(speeds)
    assert all(len(rounds) == 2 for rounds in speeds.values())
    shown = capsys.readouterr().out
    assert all(run.NAMES[name] in shown for name in ("literal", "pytorch", *speeds))
    assert "pytorch" in speeds or "not installed" in shown


def test_benchmark_runs_on_the_lander_without_the_ladder(monkeypatch, tmp_path, capsys):
    pytest.importorskip("Box2D")
    lander = ("--env", "LunarLander-v3", "--rounds", "1")
    assert bench(monkeypatch, tmp_path, *lander)["ours"][0] > 100
    assert "Stable-Baselines3" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        bench(monkeypatch, tmp_path, *lander, "--ladder")
    assert "--ladder" in capsys.readouterr().err


def test_table_holds_median_spread_and_ratios():
    record = {"steps_per_second": {"literal": [1, 3, 2], "floor": [10, 10, 10]}}
    lines = run.table(record, ["literal", "pytorch", "floor"]).splitlines()[2:]
    assert lines[0].split()[-7:] == ["2", "1", "-", "3", "1.00", "-", "0.20"]
    assert lines[1].split()[-5:] == ["-"] * 5


@pytest.mark.alone
def test_buffer_takes_little_more_than_its_raw_bytes():
    """One transition: two states of 16 bytes, an action of 8, a reward of 4, an end of 1."""
    state = np.zeros(4, dtype=np.float32)
    tracemalloc.start()
    buffer = ReplayBuffer(10_000, 32, seed=0)
    for _ in range(10_100):
        buffer.add(state, 0, 1.0, state, False)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used <= 1.2 * 10_000 * (16 + 8 + 4 + 16 + 1)


@pytest.mark.alone
def test_memory_does_not_grow_with_the_length_of_a_run():
    """Peaks of equally long stretches of training, once the buffer is full."""
    agent, env = DQNAgent(buffer_size=200, seed=0), gym.make("CartPole-v1")
    peaks = []
    with threadpool_limits(1, user_api="blas"):
        tracemalloc.start()
        for _ in range(5):
            gc.collect()  # empties Python's stock of freed tuples, which fills up slowly
            steps = 0
            tracemalloc.reset_peak()
            while steps < 300:
                steps += train_episode(env, agent, seed=0)[1]
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 50 bytes more for every step would make 60,000 in the last four stretches
    assert max(peaks[1:]) <= peaks[0] + 24_000
