"""Many seeds: run, save, resume, survive, summarize."""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import sweeps, train
from rlbook_helpers.experiments import main, parse_seeds
from rlbook_helpers.presets import PRESETS, Preset
from rlbook_helpers.sweeps import load_runs, run_seed

QUICK = ["--set", "steps=120", "--set", "learning_start=64"]
COMMAND = [sys.executable, "-m", "rlbook_helpers.experiments", "run", "stable"]


def run(out, *extra, presets=("stable",), seeds="0-2"):
    return main(["run", *presets, "--seeds", seeds, "--out", str(out), *QUICK, *extra])


def contents(out):
    """All results without the time that they took."""
    return {
        str(path.relative_to(out)): {
            key: value
            for key, value in json.loads(path.read_text()).items()
            if key != "seconds"
        }
        for path in sorted(Path(out).glob("*/*.json"))
    }


def made_up_result(seed, preset=None, evaluation=(500.0,)):
    return {
        "seed": seed,
        "hyperparameters": dataclasses.asdict(preset or Preset()),
        "evaluation": list(evaluation),
        "steps": 1000 + seed,
        "seconds": 2.0,
    }


def test_one_file_per_run_with_all_that_is_needed_to_read_it(tmp_path):
    assert run(tmp_path) == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name == "stable,steps=120,learning_start=64"
    assert [path.name for path in sorted(folder.iterdir())] == [
        f"seed-000{k}.json" for k in range(3)
    ]
    result = json.loads((folder / "seed-0001.json").read_text())
    assert result["seed"] == 1 and result["steps"] == 120
    assert result["hyperparameters"]["learning_start"] == 64
    assert set(result["versions"]) == {"numpy", "dezero", "gymnasium"}
    assert len(result["evaluation"]) == 100
    assert 0 < sum(result["returns"]) <= 120
    assert len(result["returns"]) == len(result["losses"])


def test_results_depend_on_the_seed_and_not_on_the_number_of_jobs(tmp_path):
    assert run(tmp_path / "a", "--jobs", "1") == 0
    assert run(tmp_path / "b", "--jobs", "3") == 0
    a = contents(tmp_path / "a")
    assert a == contents(tmp_path / "b")
    assert len({str(result["returns"]) for result in a.values()}) == 3


def test_a_second_call_does_only_what_is_missing(tmp_path, monkeypatch):
    assert run(tmp_path, seeds="0,2") == 0
    done = []
    locally = sweeps._locally
    monkeypatch.setattr(
        sweeps,
        "_locally",
        lambda todo, jobs: (
            done.extend(seed for *_, seed in todo) or locally(todo, jobs)
        ),
    )
    assert run(tmp_path, seeds="0-3") == 0
    assert done == [1, 3]


def test_other_hyperparameters_do_not_mix_with_earlier_results(tmp_path, capsys):
    assert run(tmp_path, seeds="0") == 0
    (path,) = tmp_path.glob("*/*.json")
    result = json.loads(path.read_text())
    result["hyperparameters"]["gamma"] = 0.5
    path.write_text(json.dumps(result))
    assert run(tmp_path, seeds="0") == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["sable", "--seeds", "0"], list(PRESETS)),
        (["stable", "--seeds", "0", "--set", "learning_rate=1"], ["lr", "tau"]),
        (["stable", "--seeds", "0", "--set", "tau"], ["lr", "tau"]),
        (["stable", "--seeds", "0", "--set", "tau=2"], ["tau", "2"]),
        (["stable", "--seeds", "0", "--set", "lr=fast"], ["lr", "fast"]),
        (["stable", "--seeds", "0", "--set", "target_rule=mean"], ["max", "clipped"]),
        (["stable", "--seeds", "0", "--set", "env_id=CartPole-v9"], ["CartPole", "v9"]),
        (["stable", "--seeds", "0", "--set", "steps=0"], ["steps"]),
        (
            ["original", "--seeds", "0", "--set", "env_id=Pendulum-v1"],
            ["env_id", "Pendulum-v1"],
        ),
        (["stable", "--seeds", "0", "--set", "episodes=3"], ["episodes", "steps"]),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(arguments, listed, tmp_path, capsys):
    assert main(["run", *arguments, "--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in listed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "a", "3-1", "0-", "1,,2", "0,5-2"])
def test_bad_seeds_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="--seeds"):
        parse_seeds(text)


def test_seeds_are_ranges_and_numbers():
    assert parse_seeds("0-2,7,1") == [0, 1, 2, 7]


def test_an_interrupt_loses_no_finished_run(tmp_path):
    command = [*COMMAND, "--seeds", "0-50", "--out", str(tmp_path), *QUICK]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background of a shell would inherit that SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.time() + 60
    while len(list(tmp_path.glob("*/*.json"))) < 2 and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "中断しました" in errors and "Traceback" not in errors
    (results,) = load_runs(tmp_path).values()  # every file is whole
    assert 2 <= len(results) < 51
    assert not list(tmp_path.glob("*/*.tmp"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for workers in /proc")
def test_workers_end_with_a_killed_parent(tmp_path):
    def workers():
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                found += [path] if marker in path.read_text(errors="replace") else []
        return found

    marker = f"SWEEP={tmp_path}"
    process = subprocess.Popen(
        [*COMMAND, "--seeds", "0-3", "--jobs", "2", "--out", str(tmp_path)],
        env=dict([*os.environ.items(), marker.split("=", 1)]),
        stderr=subprocess.DEVNULL,
    )
    deadline = time.time() + 60
    while len(workers()) < 4 and time.time() < deadline:  # two, and two that start them
        time.sleep(0.1)
    assert len(workers()) >= 4
    process.kill()
    process.wait()
    while workers() and time.time() < deadline:
        time.sleep(0.1)
    assert not workers()


def test_a_worker_that_dies_is_named_and_the_rest_goes_on(
    tmp_path, monkeypatch, capsys
):
    def child(connection, preset, seed):
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        connection.send(made_up_result(seed, preset))

    fork = sweeps.multiprocessing.get_context("fork")  # takes the changed _child along
    monkeypatch.setattr(sweeps, "_child", child)
    monkeypatch.setattr(sweeps.multiprocessing, "get_context", lambda method=None: fork)
    assert run(tmp_path, seeds="0-3") == 1
    assert "シード 1" in capsys.readouterr().err
    assert [result["seed"] for result in next(iter(load_runs(tmp_path).values()))] == [
        *(0, 2, 3),
    ]


def test_a_dask_cluster_loses_nothing_when_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        command = [*COMMAND, "--seeds", "0-7", "--out", str(tmp_path / "dask"), *QUICK]
        process = subprocess.Popen(
            [*command, "--dask", cluster.scheduler_address],
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.time() + 60
        while not list(tmp_path.glob("dask/*/*.json")) and time.time() < deadline:
            time.sleep(0.02)
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert run(tmp_path / "local", seeds="0-7") == 0
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_the_summary_counts_and_averages(tmp_path, capsys):
    for seed, mean in enumerate([100, 480, 490, 500]):
        result = made_up_result(seed, evaluation=[mean - 5, mean + 5])
        sweeps.save(sweeps.path_of(tmp_path, "original", seed), result)
    assert main(["summary", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["preset"], row["seeds"], row["solved"]) == ("original", 4, 3)
    assert row["interquartile_mean"] == 485
    assert 100 <= row["interval"][0] <= 485 <= row["interval"][1] <= 500
    assert (row["steps"], row["seconds"]) == (1001.5, 2.0)
    assert main(["summary", str(tmp_path)]) == 0
    assert "485.0" in capsys.readouterr().out


def test_a_summary_of_nothing_is_refused(tmp_path, capsys):
    assert main(["summary", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_summary_without_a_threshold_counts_nothing_as_solved(tmp_path, monkeypatch):
    class Spec:
        reward_threshold = None

    monkeypatch.setattr(sweeps.gym, "spec", lambda env_id: Spec)
    sweeps.save(sweeps.path_of(tmp_path, "own", 0), made_up_result(0))
    (row,) = sweeps.summarize(load_runs(tmp_path))
    assert row["solved"] == 0


def test_runs_come_in_the_order_of_their_seeds(tmp_path):
    for seed in (10_000, 9, 2_000):
        sweeps.save(sweeps.path_of(tmp_path, "x", seed), made_up_result(seed))
    assert [run["seed"] for run in load_runs(tmp_path)["x"]] == [9, 2_000, 10_000]


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null"])
def test_a_damaged_result_is_refused_and_named(text, tmp_path, capsys):
    path = sweeps.path_of(tmp_path, "stable,steps=120,learning_start=64", 0)
    path.parent.mkdir()
    path.write_text(text)
    assert run(tmp_path, seeds="0") == 2
    assert "seed-0000.json" in capsys.readouterr().err
    assert main(["summary", str(tmp_path)]) == 2
    assert "seed-0000.json" in capsys.readouterr().err


def test_the_folder_does_not_depend_on_the_order_of_the_settings(tmp_path):
    settings = ["--set", "env_id=CartPole-v1", "--set", "tau=0.5", "--set", "steps=120"]
    for start in (0, 2):
        order = settings[start:] + settings[:start]
        assert (
            main(["run", "stable", "--seeds", "0", "--out", str(tmp_path), *order]) == 0
        )
    assert [path.name for path in tmp_path.iterdir()] == [
        "stable,env_id=CartPole-v1,steps=120,tau=0.5"
    ]


def test_the_original_preset_is_the_agent_of_chapter_4():
    agent = PRESETS["original"].make_agent(gym.make("CartPole-v1"), 0)
    assert (agent.gamma, agent.lr, agent.epsilon, agent.tau) == (0.98, 0.0005, 0.1, 0)
    assert (agent.buffer_size, agent.batch_size, agent.schedules) == (10_000, 32, {})
    assert agent.target_rule == "max"


def test_a_run_is_what_train_and_evaluate_give():
    preset = dataclasses.replace(PRESETS["stable"], steps=200, learning_start=64)
    result = run_seed(preset, 3)
    env = preset.make_env()
    record = train(env, preset.make_agent(env, 3), steps=200, seed=3)
    assert result["returns"] == record.returns
    assert np.isclose(
        [x for x in result["losses"] if x is not None],
        [x for x in record.average_losses if not np.isnan(x)],
        rtol=0.01,
    ).all()
