"""Sweeps over seeds: commands, records, parallel runs, failures, summaries."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import evaluate
from rlbook_helpers.experiments import records, sweeps, workers
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.checkpoints import Checkpoints
from rlbook_helpers.experiments.plans import (
    list_settings,
    load_plan,
    parse_seeds,
    parse_settings,
)
from rlbook_helpers.experiments.presets import PRESETS, PatientPreset, Preset, preset_of
from rlbook_helpers.experiments.records import load_records
from rlbook_helpers.experiments.sweeps import run_seed
from rlbook_helpers.stable import LinearSchedule

QUICK = ["--set", "steps=120", "--set", "learning_start=64"]
LABEL = "stable,steps=120,learning_start=64"
COMMAND = [sys.executable, "-m", "rlbook_helpers.experiments", "run", "stable"]


def run(out, *extra, seeds="0-2"):
    return main(["run", "stable", "--seeds", seeds, "--out", str(out), *QUICK, *extra])


def contents(out):
    """All results without their times."""
    return {
        label: [{**run, "seconds": None} for run in record.runs]
        for label, record in load_records(out).items()
    }


def seeds_in(out):
    return [run["seed"] for run in next(iter(load_records(out).values())).runs]


def made_up_run(seed, evaluation=(500,)):
    return {
        "seed": seed,
        "versions": {"numpy": "1"},
        "steps": 1000 + seed,
        "seconds": 2.0,
        "returns": [9, 10],
        "checkpoints": [],
        "evaluation": list(evaluation),
    }


def recorded(out):
    """The records. The lock beside them stays."""
    assert {path.suffix or path.name for path in out.iterdir()} <= {".jsonl", ".lock"}
    return list(out.glob("*.jsonl"))


def lines_in(out):
    return sum(path.read_bytes().count(b"\n") for path in out.glob("*.jsonl"))


@contextlib.contextmanager
def started(out, *options, **popen):
    """Start a sweep of 100 seeds, wait for three lines of its record, see that it leaves no process."""
    psutil = pytest.importorskip("psutil")
    command = [*COMMAND, "--seeds", "0-99", "--out", str(out), *QUICK, *options]
    pipe = {"stderr": subprocess.PIPE, "encoding": "utf-8"}
    process = subprocess.Popen(command, **pipe, **popen)
    deadline = time.time() + 120
    while lines_in(out) < 3:
        assert time.time() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2 or "--jobs" not in options
    yield process
    assert not psutil.wait_procs(children, timeout=20)[1]


# Records


def test_run_writes_one_file_per_setting(tmp_path):
    assert run(tmp_path) == 0
    (path,) = recorded(tmp_path)
    assert path.name == f"{LABEL}.jsonl"
    header, *results = map(json.loads, path.read_text().splitlines())
    assert header["settings"]["learning_start"] == 64
    assert set(header["versions"]) == {"numpy", "dezero", "gymnasium", "processor"}
    assert header["date"]
    assert [result["seed"] for result in results] == [0, 1, 2]
    for result in results:
        wanted = {"seed", "steps", "seconds", "returns", "checkpoints", "evaluation"}
        assert set(result) == wanted
        assert result["steps"] == 120
        assert len(records.unpacked(result["evaluation"])) == 100
        assert 0 < sum(result["returns"]) <= 120


def test_curve_is_kept_as_means_of_episodes():
    every = run_seed(Preset(episodes=7), 0)
    means = run_seed(Preset(episodes=7, curve_interval=3, evaluation_episodes=2), 0)
    whole = every["returns"]
    assert len(whole) == 7 and len(every["evaluation"]) == 100
    assert means["returns"] == [round(sum(whole[k : k + 3]) / 3) for k in (0, 3)]
    assert means["evaluation"] == every["evaluation"][:2]


def test_patient_preset_allows_only_its_length_to_change():
    preset = PatientPreset(patient="hundredfold_lr", episodes=2)
    assert preset.make_agent(preset.make_env(), 0).lr == 0.05
    assert preset_of(dataclasses.asdict(preset)) == preset
    assert preset_of({"gamma": 0.5}) == Preset(gamma=0.5, separate_streams=False)
    with pytest.raises(ValueError, match="patient は"):
        PatientPreset(patient="cold")
    with pytest.raises(ValueError, match="gamma を変えられません: 0.9"):
        PatientPreset(patient="no_mask", gamma=0.9)


def test_patient_runs_with_its_own_loop_and_policy():
    """On CartPole, the first bug has no effect, the second changes actions, the third evaluation."""
    names = ("clipped_reward", "inverted_epsilon", "exploring_evaluation")
    right = run_seed(Preset(episodes=5), 0)
    clipped, inverted, explored = (
        run_seed(PatientPreset(episodes=5, patient=name), 0) for name in names
    )
    assert clipped["returns"] == right["returns"] == explored["returns"]
    assert clipped["evaluation"] == right["evaluation"] != explored["evaluation"]
    assert inverted["returns"] != right["returns"]


def test_second_run_does_only_missing_seeds(tmp_path, monkeypatch):
    assert run(tmp_path, seeds="0,2") == 0
    done = []
    monkeypatch.setattr(
        sweeps, "run_seed", lambda preset, seed: done.append(seed) or made_up_run(seed)
    )
    assert run(tmp_path, seeds="0-3") == 0
    assert done == [1, 3]
    monkeypatch.setitem(sys.modules, "distributed", None)  # not needed for nothing
    assert run(tmp_path, "--jobs", "2", seeds="0-3") == 0


@pytest.mark.parametrize("kept", [20, -30])
def test_seed_of_a_torn_line_is_run_again(kept, tmp_path):
    assert run(tmp_path, seeds="0-1") == 0
    (path,) = recorded(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    if kept < 0:  # in the last line
        assert seeds_in(tmp_path) == [0]
    else:  # in the first
        assert main(["summary", str(tmp_path)]) == 2
    assert run(tmp_path, seeds="0-1") == 0
    assert seeds_in(tmp_path) == [0, 1]
    assert path.read_bytes().count(b"\n") == whole.count(b"\n")


def change_settings(path, **settings):
    header, *lines = path.read_text().split("\n")
    header = json.loads(header)
    header["settings"] |= settings
    header["settings"] = {k: v for k, v in header["settings"].items() if v != "gone"}
    path.write_text("\n".join([json.dumps(header), *lines]))


def test_run_refuses_a_record_of_other_settings(tmp_path, capsys):
    assert run(tmp_path, seeds="0") == 0
    (path,) = recorded(tmp_path)
    change_settings(path, error_limit="gone")  # as if it were new, with its default
    assert run(tmp_path, seeds="0-1") == 0
    assert seeds_in(tmp_path) == [0, 1]
    change_settings(path, gamma=0.5)
    assert run(tmp_path, seeds="0-2") == 2
    assert "--out" in capsys.readouterr().err
    change_settings(path, gamma=0.99, nonsense=1)
    assert run(tmp_path, seeds="0-2") == 2
    assert "1 行目" in (error := capsys.readouterr().err) and "nonsense" in error
    assert lines_in(tmp_path) == 3


def test_file_name_is_independent_of_the_order_of_settings(tmp_path):
    settings = ["--set", "env_id=CartPole-v1", "--set", "tau=0.5", "--set", "steps=120"]
    for start in (0, 2):
        changes = settings[start:] + settings[:start]
        command = ["run", "stable", "--seeds", "0", "--out", str(tmp_path), *changes]
        assert main(command) == 0
    assert [path.name for path in recorded(tmp_path)] == [
        "stable,env_id=CartPole-v1,steps=120,tau=0.5.jsonl"
    ]


# The command


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        ("sable", "original stable acrobot lander"),
        ("stable --set learning_rate=1", "lr tau"),
        ("stable --set tau", "lr tau"),
        ("stable --set tau=2", "tau 2"),
        ("stable --set lr=fast", "lr fast"),
        ("stable --set target_rule=mean", "max double"),
        ("stable --set env_id=CartPole-v9", "CartPole v9"),
        ("stable --set steps=0", "steps"),
        ("original --set env_id=Pendulum-v1", "env_id Pendulum-v1"),
        ("stable --set episodes=3", "episodes steps"),
    ],
)
def test_run_refuses_unknown_settings(arguments, listed, tmp_path, capsys):
    command = ["run", *arguments.split(), "--seeds", "0", "--out", str(tmp_path)]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in listed.split())
    assert not list(tmp_path.iterdir())


def test_run_names_the_package_that_the_lander_needs(monkeypatch, tmp_path, capsys):
    for name in [
        name for name in sys.modules if name.startswith("gymnasium.envs.box2d")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    command = ["run", "lander", "--seeds", "0", "--out", str(tmp_path / "runs")]
    assert main(command) == 2
    assert "pip install ufal-pybox2d" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "a", "3-1", "0-", "1,,2", "0,5-2"])
def test_parse_seeds_refuses_malformed_ranges(text):
    with pytest.raises(ValueError, match="シード"):
        parse_seeds(text)


def test_seeds_are_ranges_and_numbers():
    assert parse_seeds("0-2,7,1") == [0, 1, 2, 7]


def test_original_preset_is_the_agent_of_chapter_4():
    agent = PRESETS["original"].make_agent(gym.make("CartPole-v1"), 0)
    assert (agent.gamma, agent.lr, agent.epsilon, agent.tau) == (0.98, 0.0005, 0.1, 0)
    assert (agent.buffer_size, agent.batch_size, agent.schedules) == (10_000, 32, {})
    assert agent.target_rule == "max"


def test_preset_turns_its_ends_into_schedules():
    ends = {"lr_end": 0.0003, "pessimism_end": 0.5, "target_rule": "double"}
    preset = dataclasses.replace(PRESETS["stable"], **ends)
    agent = preset.make_agent(gym.make("CartPole-v1"), 0)
    assert agent.schedules == {
        "lr": LinearSchedule(0.001, 0.0003, 25_000),
        "epsilon": LinearSchedule(1.0, 0.05, 5_000),
        "pessimism": LinearSchedule(0.0, 0.5, 25_000),
    }
    assert (agent.average_start, agent.sync_steps) == (22_001, 50)
    assert agent.scale is not None


# Runs


def test_run_seed_uses_four_separate_seeds():
    """Two made from the seed train, 2,000,000 more measure, 1,000,000 more evaluate."""
    preset = dataclasses.replace(PRESETS["stable"], steps=200, checkpoint_steps=80)
    env, test_env = preset.make_env(), preset.make_env()
    env_seed, agent_seed = preset.seeds(3)
    agent = preset.make_agent(env, agent_seed)
    watch = Checkpoints(agent, test_env, every=80, seed=2_000_003)
    returns = preset.train(env, agent, env_seed, watch).returns
    evaluation = evaluate(test_env, agent.greedy_action, episodes=100, seed=1_000_003)
    result = run_seed(preset, 3)
    points = [[round(float(x), 2) for x in point] for point in watch.points]
    assert result["checkpoints"] == points and len(points) == 2
    assert result["evaluation"] == evaluation.tolist()
    assert result["returns"] == returns[:10] and len(returns) > 10
    plain = run_seed(dataclasses.replace(preset, checkpoint_steps=None), 3)
    assert plain["returns"] == returns and plain["checkpoints"] == []
    assert plain["evaluation"] == result["evaluation"]


@pytest.mark.parametrize("extra", [["--jobs", "2"], ["--dask", "tcp://127.0.0.1:1"]])
def test_run_names_the_extra_if_dask_is_missing(extra, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(tmp_path, *extra) == 2
    assert ".[dask]" in capsys.readouterr().err
    assert not recorded(tmp_path)
    assert run(tmp_path, seeds="0") == 0


FRAGILE = """
import os
from pathlib import Path

import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Fragile(CartPoleEnv):
    def reset(self, *, seed=None, options=None):
        mark = Path(__file__).with_name("seed 3 dies")
        if seed == 1 or (seed == 3 and mark.exists()):
            if seed == 3:
                mark.unlink()  # only once
            os._exit(1)
        if seed == 2:
            raise RuntimeError("oh")
        return super().reset(seed=seed, options=options)

gym.register("Fragile-v0", Fragile, max_episode_steps=500)
"""


@pytest.mark.parametrize("retries", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_dead_and_failed_seeds_are_named_and_others_complete(
    retries, tmp_path, monkeypatch
):
    """The others have the results of a sweep with one job. Dask may retry a dead seed."""
    pytest.importorskip("distributed")
    (tmp_path / "fragile.py").write_text(FRAGILE)
    if retries:
        (tmp_path / "seed 3 dies").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", str(retries))
    fragile = [*QUICK, "--set", "env_id=fragile:Fragile-v0"]
    fragile += ["--set", "separate_streams=False"]  # its environment knows the seeds
    command = [*COMMAND, *fragile, "--seeds", "0-5", "--jobs", "2"]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "two")],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert (result.returncode, result.stderr.count("\n")) == (1, 2), result.stderr
    label = "stable,env_id=fragile-Fragile-v0,steps=120,learning_start=64"
    label += ",separate_streams=False"
    dead, failed = sorted(result.stderr.splitlines())
    assert dead.startswith(f"{label} シード 1: ") and "ワーカー" in dead
    assert failed == f"{label} シード 2: RuntimeError: oh"
    assert run(tmp_path / "one", *fragile, seeds="0,3-5") == 0
    found = contents(tmp_path / "two")
    assert found == contents(tmp_path / "one")
    assert len({str(result["returns"]) for result in found[label]}) == 4


INTERRUPTED = "中断しました。終わった結果は残っています。同じコマンドで続けられます。\n"


def test_one_job_names_failures_and_keeps_runs_on_interrupt(
    tmp_path, monkeypatch, capsys
):
    def fragile(preset, seed):
        if error := {1: RuntimeError("oh"), 4: KeyboardInterrupt()}.get(seed):
            raise error
        return made_up_run(seed)

    monkeypatch.setattr(sweeps, "run_seed", fragile)
    failure = f"{LABEL} シード 1: RuntimeError: oh\n"
    assert run(tmp_path) == 1
    assert capsys.readouterr().err == failure
    assert run(tmp_path, seeds="0-5") == 130
    assert capsys.readouterr().err == failure + INTERRUPTED
    assert seeds_in(tmp_path) == [0, 2, 3]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of a terminal")
def test_interrupt_keeps_finished_runs_and_leaves_no_process(tmp_path):
    pytest.importorskip("distributed")
    # A background job of a shell would inherit that SIGINT is ignored.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    new_group = {"start_new_session": True, "preexec_fn": default}
    with started(tmp_path, "--jobs", "2", **new_group) as process:
        os.killpg(process.pid, signal.SIGINT)  # to parent and workers, as Ctrl-C does
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == INTERRUPTED
    assert 2 <= len(seeds_in(tmp_path)) == lines_in(tmp_path) - 1 < 100


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(tmp_path):
    pytest.importorskip("distributed")
    with started(tmp_path, "--jobs", "2") as process:
        process.kill()
        process.wait()


@pytest.fixture
def cluster():
    """A cluster of one worker with two threads, in this process."""
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "protocol": "tcp://", "dashboard_address": ":0"}
    with distributed.LocalCluster(1, threads_per_worker=2, **options) as cluster:
        yield cluster


def test_threads_of_a_dask_worker_give_the_same_results(cluster, tmp_path):
    """One after the other: their times are recorded."""
    assert run(tmp_path / "dask", "--dask", cluster.scheduler_address) == 0
    assert run(tmp_path / "here") == 0
    assert contents(tmp_path / "dask") == contents(tmp_path / "here")


def test_seed_recorded_meanwhile_is_not_given_to_a_worker(cluster, tmp_path):
    """The record is looked at when a worker is free, not before."""
    path = tmp_path / "x.jsonl"

    def run(setting, seed):
        (tmp_path / f"ran {seed}").touch()
        if seed == 0:  # as if by another process
            records.append(path, dataclasses.asdict(setting), made_up_run(3))
        return made_up_run(seed)

    options = {"run": run, "dask": cluster.scheduler_address}
    assert not sweeps.sweep({"x": Preset()}, range(5), tmp_path, **options)
    assert seeds_in(tmp_path) == [0, 1, 2, 3, 4]
    assert {path.name for path in tmp_path.glob("ran*")} == {
        f"ran {seed}" for seed in (0, 1, 2, 4)
    }


def test_no_more_seeds_than_workers_are_given_out(monkeypatch):
    """Also when workers have died: three of four, and then the last."""
    distributed = pytest.importorskip("distributed")

    class Client:
        def __init__(self):
            self.threads, self.given = iter([{0: 2, 1: 2}, {0: 1}, {0: 1}, {}, {}]), []

        def nthreads(self):
            return next(self.threads, {0: 9})

        def submit(self, function, run, setting, seed, pure):
            self.given.append(seed)
            return concurrent.futures.Future()

    class Completed(list):
        add = list.append

        def __next__(self):
            self[0].set_result("done")
            return self.pop(0)

    monkeypatch.setattr(distributed, "as_completed", Completed)
    client = Client()
    tasks = (("x", None, seed) for seed in range(8))
    outcomes = workers._outcomes(client, None, tasks)
    seen = [(*outcome, len(client.given)) for outcome in outcomes]
    assert seen == [
        ("x", seed, "done", given)
        for seed, given in enumerate([4, 4, 4, 4, 5, 8, 8, 8])
    ]


def test_lost_scheduler_is_reported_in_one_line(cluster, tmp_path):
    with started(tmp_path, "--dask", cluster.scheduler_address) as process:
        cluster.close()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "スケジューラ" in errors and errors.count("\n") == 1
    assert 2 <= len(seeds_in(tmp_path)) < 100


def test_missing_scheduler_is_named(tmp_path, monkeypatch, capfd):
    distributed = pytest.importorskip("distributed")
    connect = distributed.Client
    monkeypatch.setattr(  # gives up sooner than after ten seconds
        distributed, "Client", lambda where, timeout: connect(where, timeout=0.1)
    )
    for address in ("tcp://127.0.0.1:1", ""):  # an unset variable is no address
        assert run(tmp_path, "--dask", address) == 2
        error = capfd.readouterr().err
        assert f"--dask の番地 '{address}' に接続できません" in error
        assert error.count("\n") == 1


def test_cancelled_result_is_reported_as_a_lost_connection(
    tmp_path, monkeypatch, capfd
):
    def lost(client, run, tasks):
        yield LABEL, 0, made_up_run(0)
        raise concurrent.futures.CancelledError("scheduler-connection-lost")

    monkeypatch.setattr(workers, "_connect", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(workers, "_outcomes", lost)
    assert run(tmp_path, "--jobs", "2") == 2
    assert "スケジューラ" in capfd.readouterr().err


# Summaries


def test_summary_counts_and_averages(tmp_path, capsys):
    path = tmp_path / "original.jsonl"
    for seed, mean in enumerate([100, 480, 490, 500]):
        records.append(
            path, dataclasses.asdict(Preset()), made_up_run(seed, [mean - 5, mean + 5])
        )
    assert main(["summary", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["preset"], row["seeds"], row["solved"]) == ("original", 4, 3)
    assert row["interquartile_mean"] == 485
    assert 100 <= row["interval"][0] <= 485 <= row["interval"][1] <= 500
    assert (row["steps"], row["seconds"]) == (1001.5, 2.0)
    assert main(["summary", str(tmp_path)]) == 0
    assert "485.0" in capsys.readouterr().out


def test_summary_refuses_an_empty_folder(tmp_path, capsys):
    assert main(["summary", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_summary_counts_nothing_as_solved_without_a_threshold(tmp_path):
    settings = {"env_id": "Pendulum-v1"}
    records.append(tmp_path / "own.jsonl", settings, made_up_run(0))
    (row,) = records.summarize(load_records(tmp_path))
    assert row["solved"] == 0 and row["interval"] == [None, None]


SETTINGS = list_settings(dataclasses.replace(PRESETS["stable"], batch_size=4))
PLAN = f"""
question = "?"
seeds = "0-1"
settings = '''{SETTINGS}'''
[arms]
short = "steps=40"
shorter = "steps=30"
"""


def run_plans(folder, *options, **texts):
    """Write plans by name, and run them."""
    files = [folder / f"{name}.toml" for name in texts]
    for file, text in zip(files, texts.values()):
        file.write_text(text, encoding="utf-8")
    return main(["plan", *map(str, files), *options, "--out", str(folder / "out")])


def test_plan_runs_its_arms_with_its_seeds(tmp_path):
    out = tmp_path / "out/plan"
    assert run_plans(tmp_path, "--arm", "shorter", plan=PLAN) == 0
    assert list(load_records(out)) == ["shorter"]
    assert run_plans(tmp_path, plan=PLAN) == 0
    plan, found = load_plan(tmp_path / "plan.toml"), load_records(out)
    assert {arm: record.preset for arm, record in found.items()} == plan.arms
    assert plan.arms["short"].batch_size == 4
    assert [run["steps"] for run in found["shorter"].runs] == [30, 30]
    assert [run["seed"] for run in found["short"].runs] == plan.seeds == [0, 1]


def test_arm_overrides_the_settings(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(PLAN.replace("steps=40", "steps=40 batch_size=8"), encoding="utf-8")
    arms = load_plan(file).arms
    assert (arms["short"].batch_size, arms["shorter"].batch_size) == (8, 4)


def test_arm_option_selects_from_every_plan(tmp_path, capsys):
    plans = {"a": PLAN, "b": PLAN, "c": PLAN.replace("shorter", "shortest")}
    assert run_plans(tmp_path, "--arm", "shorter", **plans) == 0
    found = (tmp_path / "out").rglob("*.jsonl")
    assert sorted(path.parent.name for path in found) == ["a", "b"]
    assert run_plans(tmp_path, "--arm", "long", **plans) == 2
    assert "shorter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gamma=0.995", "", "gamma"),
        (f"settings = '''{SETTINGS}'''", "", "settings"),
        ('seeds = "0-1"', 'seeds = "1-0"', "1-0"),
        ("steps=40", "stops=40", "stops"),
        ("batch_size=4", "bath_size=4", "bath_size"),
        ("steps=40", "steps=0", "steps"),
        ('question = "?"', 'question = "', "plan.toml"),
    ],
)
def test_bad_plan_is_refused_with_its_file(tmp_path, capsys, old, new, message):
    assert run_plans(tmp_path, plan=PLAN.replace(old, new)) == 2
    error = capsys.readouterr().err
    assert message in error and "plan.toml" in error
    assert not (tmp_path / "out").exists()


def test_policy_command_saves_the_requested_steps(tmp_path, capsys):
    command = ["policy", "stable", "--seed", "3", "--out", str(tmp_path)]
    command += ["--set", "steps=90", "--at", "40", "90"]
    assert main(command) == 0
    names = ["000040.npz", "000090.npz"]
    assert [path.name for path in sorted(tmp_path.rglob("*.npz"))] == names
    assert capsys.readouterr().out.count(".npz") == 2
    assert main([*command, "91"]) == 2
    assert "at" in capsys.readouterr().err


def test_settings_command_prints_what_a_plan_needs(tmp_path, capsys):
    assert main(["settings", "stable", "--set", "batch_size=4"]) == 0
    assert capsys.readouterr().out == f"{SETTINGS}\n"
    assert parse_settings(SETTINGS.split()) == vars(PRESETS["stable"]) | {
        "batch_size": 4
    }


def test_environment_and_agent_have_streams_of_their_own():
    """Before, both took the seed itself, so that both drew the same numbers."""
    preset = Preset()
    draws = [seed for k in range(50) for seed in preset.seeds(k)]
    assert len(set(draws)) == 100 and min(draws) > 10**6
    assert preset.seeds(7) == preset.seeds(7)
    assert dataclasses.replace(preset, separate_streams=False).seeds(7) == (7, 7)


def test_processor_names_each_kernel_once_and_needs_no_details(monkeypatch):
    blas = {"user_api": "blas", "internal_api": "openblas", "architecture": "Zen"}
    others = {"user_api": "openmp", "internal_api": "openmp"}
    monkeypatch.setattr(sweeps, "threadpool_info", lambda: [blas, others, blas])
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    name, *kernels = sweeps.processor().split(", ")
    assert name and kernels == ["openblas Zen"]
