"""The benchmarks, with little work. test_speed.py tests `run.py`."""

import dataclasses
import hashlib
import json
import sys

import gymnasium as gym
import numpy as np
import pytest

import jobs
import measuring
import peers
import programs
from rlbook_helpers.experiments import records
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.plans import list_settings
from rlbook_helpers.experiments.presets import PRESETS
from rlbook_helpers.experiments.sweeps import run_seed


class Counter:
    """An agent and an environment in one, whose episodes have three steps."""

    def __init__(self):
        self.calls = []
        self.steps = 0

    def reset(self, seed=None):
        self.calls.append(("reset", seed))
        return self.steps, {}

    def step(self, action):
        self.steps += 1
        return self.steps, 1.0, self.steps % 6 == 3, self.steps % 6 == 0, {}

    def get_action(self, state):
        return state

    def update(self, *transition):
        self.calls.append(transition)

    def sync_qnet(self):
        self.calls.append("sync")


def test_loop_passes_done_for_ends_but_not_for_cuts():
    both = Counter()
    loop = measuring.training(both, both, seed=7, sync_interval=2)
    assert [next(loop) for _ in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert both.calls == [
        ("reset", 7),
        *[(0, 0, 1.0, 1, False), (1, 1, 1.0, 2, False), (2, 2, 1.0, 3, True)],
        *[("reset", None), "sync"],
        *[(3, 3, 1.0, 4, False), (4, 4, 1.0, 5, False), (5, 5, 1.0, 6, False)],
        ("reset", None),  # the second episode was cut, and is not one to sync after
        (6, 6, 1.0, 7, False),
    ]


def test_loops_take_turns_until_all_have_ended():
    order = []

    def loop(name, steps):
        for _ in range(steps):
            order.append(name)
            yield

    turn = measuring.SLICE
    loops = {"a": loop("a", 2 * turn), "b": loop("b", turn + 1), "c": loop("c", 0)}
    seconds = measuring.take_turns(loops)
    assert order == ["a"] * turn + ["b"] * turn + ["a"] * turn + ["b"]
    assert seconds.keys() == loops.keys()
    assert all(s > 0 for s in seconds.values())


def test_jobs_benchmark_times_two_jobs_against_one(monkeypatch, tmp_path, capsys):
    """With a fake command and clock."""
    commands, clock = [], [0.0]

    def run(command, check):
        assert check
        commands.append(command)
        clock[0] += {"1": 8.0, "2": 4.0}[command[command.index("--jobs") + 1]]

    monkeypatch.setattr(jobs.subprocess, "run", run)
    monkeypatch.setattr(jobs.time, "perf_counter", lambda: clock[0])
    out = tmp_path / "jobs.json"
    command = ["jobs.py", "--rounds", "2", "--seeds", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    jobs.main()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["seeds"] == 3
    assert record["seconds"] == {"1": [8.0, 8.0], "2": [4.0, 4.0]}
    assert "2.00 times" in capsys.readouterr().out
    assert [c[c.index("--jobs") + 1] for c in commands] == ["1", "2", "1", "2"]
    assert all(c[c.index("--seeds") + 1] == "1000-1002" for c in commands)


def test_timed_command_works(monkeypatch):
    """The arguments of the real command, in this process and with short runs."""

    def run(command, check):
        arguments = command[command.index("run") :]
        assert command[1:3] == ["-m", "rlbook_helpers.experiments"] and check
        assert main([*arguments, "--set", "steps=200"]) == 0

    monkeypatch.setattr(jobs.subprocess, "run", run)
    assert jobs.seconds(1, 2) > 0


@pytest.mark.parametrize("wrong", [("--seeds", "1"), ("--rounds", "0")])
def test_jobs_benchmark_refuses_bad_numbers(wrong, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jobs.py", *wrong])
    with pytest.raises(SystemExit):
        jobs.main()
    assert wrong[0] in capsys.readouterr().err


PEERS = peers.read_plan("05_peers")


def run_peer(kind, options):
    return programs.run(programs.Contestant(kind, options), 3, checkpoint_steps=100)


def test_plan_lists_the_contestants():
    assert set(peers.contestants_of(PEERS)) == {
        *("stable", "chapter_4", "oreilly", "sb3_zoo", "sb3_default", "cleanrl")
    }


def test_records_name_what_the_plan_writes_out():
    """As presets, in the records of 2026."""
    folder = peers.PLANS.parent / "data/runs/05_peers"
    for kind in programs.RUN:
        for name, options in PEERS.get(kind, {}).items():
            settings, _ = records.read(folder / f"{name}.jsonl")
            wanted = programs.Contestant(kind, options)
            assert peers.recorded(PEERS, **settings) == wanted


def test_run_of_the_book_equals_run_seed():
    little = dataclasses.replace(PRESETS["stable"], steps=200, checkpoint_steps=100)
    run = run_peer("book", list_settings(little))
    assert run["evaluation"] == run_seed(little, 3)["evaluation"]
    assert [len(point) for point in run["checkpoints"]] == [2, 2]
    assert set(run["versions"]) == {"numpy", "gymnasium", "processor"}


def test_literal_loop_takes_every_end_for_done():
    options = {"episodes": 10, "sync_interval": 5}
    run = run_peer("literal", options)
    assert run["seed"] == 3 and len(run["evaluation"]) == 100
    assert 80 < run["steps"] < 500 and run["seconds"] > 0
    assert run == run_peer("literal", options) | {"seconds": run["seconds"]}


def test_policy_of_stable_baselines3_equals_its_predict():
    dqn = pytest.importorskip("stable_baselines3").DQN
    env = gym.make("CartPole-v1")
    model = dqn("MlpPolicy", env, seed=0, policy_kwargs={"net_arch": [12, 8]})
    policy = programs.greedy_policy(model.q_net)
    states = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    wanted, _ = model.predict(states, deterministic=True)
    assert [policy(state) for state in states] == wanted.tolist()


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_stable_baselines3_uses_the_loss_of_the_plan(loss, monkeypatch):
    pytest.importorskip("stable_baselines3")
    import torch.nn.functional as F

    called = []
    for name in ("smooth_l1_loss", "mse_loss"):
        function = getattr(F, name)
        monkeypatch.setattr(
            F, name, lambda *a, n=name, f=function: (called.append(n), f(*a))[1]
        )
    options = {"steps": 110, "checkpoint_steps": 50, "loss": loss, "train_freq": 1}
    run = run_peer("stable_baselines3", options)
    assert set(called) == {{"huber": "smooth_l1_loss", "mse": "mse_loss"}[loss]}
    assert [step for step, _ in run["checkpoints"]] == [50, 100]


def test_stable_baselines3_falls_and_averages_as_the_plan_says(monkeypatch):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.callbacks import BaseCallback

    rates, weights, average = [], [], []
    checked = BaseCallback.on_step

    def on_step(watch):
        going_on = checked(watch)
        rates.append(watch.model.policy.optimizer.param_groups[0]["lr"])
        weights.append(watch.model.q_net.q_net[-1].weight.detach().numpy().copy())
        average.append(watch.average)
        return going_on

    monkeypatch.setattr(BaseCallback, "on_step", on_step)
    options = {"steps": 120, "average_steps": 10, "train_freq": 1, "n_steps": 3}
    options |= {"learning_rate": 0.01, "learning_rate_end": 0.5}
    run = run_peer("stable_baselines3", options | {"evaluation_episodes": 20})
    assert len(run["evaluation"]) == 20
    assert rates[-1] == pytest.approx(0.005, rel=0.02)
    mean = average[-1].q_net[-1].weight.detach().numpy()
    np.testing.assert_allclose(mean, np.mean(weights[-10:], axis=0), rtol=1e-5)


def test_environment_and_interval_are_those_of_the_contestant():
    pytest.importorskip("stable_baselines3")
    options = {"steps": 110, "checkpoint_steps": 55, "env_id": "Acrobot-v1"}
    run = run_peer("stable_baselines3", options)
    assert [point[0] for point in run["checkpoints"]] == [55, 110]
    assert -500 <= min(run["evaluation"]) and max(run["evaluation"]) < 0


def test_script_of_another_hash_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "pqn.py").write_text("raise SystemExit")
    monkeypatch.setenv("CLEANRL", str(tmp_path))
    plan = peers.contestants_of(peers.read_plan("05_further"))
    with pytest.raises(ValueError, match="not the file of the plan"):
        programs.run(plan["cleanrl_pqn"], 0, checkpoint_steps=100)


SCRIPT = """
import gymnasium as gym
import torch
import tyro
from torch.utils.tensorboard import SummaryWriter


class Args:
    def __init__(self, seed, cuda):
        self.seed = seed


if __name__ == "__main__":
    torch.manual_seed(tyro.cli(Args).seed)
    writer = SummaryWriter("runs/")
    envs = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")])
    q_network = torch.nn.Linear(4, 2)
    torch.optim.RAdam(q_network.parameters())  # imports more of PyTorch
    envs.reset(seed=0)
    ends = 0
    for global_step in range(1, 101):
        _, reward, terminated, _, infos = envs.step([0])
        ends += terminated[0]
        assert reward[0] == 1 and "final_info" not in infos
        print(global_step)
        writer.add_scalar("charts/SPS", 0, global_step)
    assert ends > 8  # no step is lost to a reset
"""


def test_script_runs_as_it_is_and_is_measured(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    (tmp_path / "pqn.py").write_text(SCRIPT)
    monkeypatch.setenv("CLEANRL", str(tmp_path))
    options = {"file": "pqn.py", "steps": 100, "commit": ""}
    options["sha256"] = hashlib.sha256(SCRIPT.encode()).hexdigest()
    contestant = programs.Contestant("cleanrl", options)
    run = programs.run(contestant, 3, checkpoint_steps=10)
    again = programs.run(contestant, 3, checkpoint_steps=10)
    assert run["evaluation"] == again["evaluation"]
    assert [step for step, _ in run["checkpoints"]] == [60, 70, 80, 90, 100]
    assert run["steps"] == 100 and len(run["evaluation"]) == 100
    assert capsys.readouterr().out == ""


def test_rejax_trains_and_is_measured_with_the_settings_of_the_plan():
    pytest.importorskip("rejax")
    plan = peers.contestants_of(peers.read_plan("05_further"))
    options = plan["rejax_pqn"].options | {"steps": 10_240}
    contestant = programs.Contestant("rejax", options)
    run = programs.run(contestant, 3, checkpoint_steps=2_048)
    steps = [2_048, 4_096, 6_144, 8_192, 10_240]
    assert [step for step, _ in run["checkpoints"]] == steps
    again = programs.run(contestant, 3, checkpoint_steps=2_048)
    assert run["evaluation"] == again["evaluation"]


def test_search_draws_the_same_settings_from_the_values():
    plan = peers.read_plan("05_search")
    drawn = peers.contestants_of(plan)
    assert drawn == peers.contestants_of(plan)
    draws = [one.options for name, one in drawn.items() if name.startswith("draw_")]
    assert len(draws) == 40 and len({str(options) for options in draws}) == 40
    for name, values in plan["search"]["values"].items():
        found = [(o | o["policy_kwargs"])[name] for o in draws]
        assert all(value in found for value in values)
        assert all(value in values for value in found)


def test_peers_skip_recorded_seeds_and_report_failures(monkeypatch, tmp_path, capsys):
    path = tmp_path / "oreilly.jsonl"
    run = {"seed": 5, "steps": 1, "seconds": 1, "evaluation": [9], "versions": {}}
    settings = {"kind": "literal", "options": PEERS["literal"]["oreilly"]}
    records.append(path, settings, run)
    before = path.read_bytes()
    command = ["peers.py", "oreilly", "--out", str(tmp_path), "--seeds"]
    monkeypatch.setattr(sys, "argv", [*command, "5"])
    assert peers.main() == 0
    assert path.read_bytes() == before
    monkeypatch.setitem(programs.RUN, "literal", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", [*command, "5-6"])
    assert peers.main() == 1
    assert "oreilly シード 6: ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_peers_refuse_unknown_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers.py", "o'reilly"])
    with pytest.raises(SystemExit):
        peers.main()
    assert "o'reilly" in capsys.readouterr().err
