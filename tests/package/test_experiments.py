"""Many seeds: run, record, resume, survive, summarize."""

import concurrent.futures
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
import pytest

from rlbook_helpers import train
from rlbook_helpers.experiments import records, sweeps
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.plans import load_plan, parse_seeds
from rlbook_helpers.experiments.presets import (
    PRESETS,
    PatientPreset,
    Preset,
    preset_of,
)
from rlbook_helpers.experiments.records import load_records
from rlbook_helpers.experiments.sweeps import run_seed

QUICK = ["--set", "steps=120", "--set", "learning_start=64"]
LABEL = "stable,steps=120,learning_start=64"
COMMAND = [sys.executable, "-m", "rlbook_helpers.experiments", "run", "stable"]


def run(out, *extra, seeds="0-2"):
    return main(["run", "stable", "--seeds", seeds, "--out", str(out), *QUICK, *extra])


def contents(out):
    """All results without the time that they took."""
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


def wait_until(condition, seconds=120):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.05)


def lines_in(out):
    return sum(path.read_bytes().count(b"\n") for path in out.glob("*.jsonl"))


# Records


def test_one_file_per_setting_with_all_that_is_needed_to_read_it(tmp_path):
    assert run(tmp_path) == 0
    (path,) = tmp_path.iterdir()
    assert path.name == f"{LABEL}.jsonl"
    header, *results = map(json.loads, path.read_text().splitlines())
    assert header["settings"]["learning_start"] == 64
    assert set(header["versions"]) == {"numpy", "dezero", "gymnasium"}
    assert header["date"]
    assert [result["seed"] for result in results] == [0, 1, 2]
    for result in results:
        wanted = {"seed", "steps", "seconds", "returns", "checkpoints", "evaluation"}
        assert set(result) == wanted
        assert result["steps"] == 120 and len(result["evaluation"]) == 100
        assert 0 < sum(result["returns"]) <= 120


def test_a_curve_is_kept_as_means_of_episodes():
    every = run_seed(Preset(episodes=7), 0)
    means = run_seed(Preset(episodes=7, curve_interval=3, evaluation_episodes=2), 0)
    whole = every["returns"]
    assert len(whole) == 7 and len(every["evaluation"]) == 100
    assert means["returns"] == [round(sum(whole[k : k + 3]) / 3) for k in (0, 3)]
    assert means["evaluation"] == every["evaluation"][:2]


def test_patient_preset():
    preset = PatientPreset(patient="hundredfold_lr", episodes=2)
    assert preset.make_agent(preset.make_env(), 0).lr == 0.05
    assert preset_of(dataclasses.asdict(preset)) == preset
    assert preset_of({"patient": None, "gamma": 0.5}) == Preset(gamma=0.5)
    with pytest.raises(ValueError, match="patient は"):
        PatientPreset(patient="cold")
    with pytest.raises(ValueError, match="gamma を変えられません: 0.9"):
        PatientPreset(patient="no_mask", gamma=0.9)


def test_a_patient_is_run_by_its_own_loop_and_policy():
    """Each of the three is wrong elsewhere: nowhere on CartPole, in the agent, in the evaluation."""
    names = ("clipped_reward", "inverted_epsilon", "exploring_evaluation")
    right = run_seed(Preset(episodes=5), 0)
    clipped, inverted, explored = (
        run_seed(PatientPreset(episodes=5, patient=name), 0) for name in names
    )
    assert clipped["returns"] == right["returns"] == explored["returns"]
    assert clipped["evaluation"] == right["evaluation"] != explored["evaluation"]
    assert inverted["returns"] != right["returns"]


def test_what_was_recorded_is_read_again(tmp_path):
    path = tmp_path / "new" / "x.jsonl"
    preset = PRESETS["stable"]
    settings = dataclasses.asdict(preset)
    other = {**made_up_run(2), "versions": {"numpy": "2"}}
    for seed in (10_000, 9):
        records.append(path, settings, made_up_run(seed))
    records.append(path, settings, other)
    assert records.load(path) == (preset, [other, made_up_run(9), made_up_run(10_000)])
    assert path.read_text().count("versions") == 2  # once, and where they differ


def test_a_second_call_does_only_what_is_missing(tmp_path, monkeypatch):
    assert run(tmp_path, seeds="0,2") == 0
    done = []
    monkeypatch.setattr(
        sweeps, "run_seed", lambda preset, seed: done.append(seed) or made_up_run(seed)
    )
    assert run(tmp_path, seeds="0-3") == 0
    assert done == [1, 3]
    assert run(tmp_path, "--jobs", "2", seeds="0-3") == 0  # nothing: no cluster either


@pytest.mark.parametrize("kept", [0, 20, -1, -30])
def test_a_line_torn_by_a_kill_is_run_again(kept, tmp_path):
    assert run(tmp_path, seeds="0-1") == 0
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    if kept < 0:  # in the last line
        assert seeds_in(tmp_path) == [0]
    else:  # in the first
        assert main(["summary", str(tmp_path)]) == 2
    assert run(tmp_path, seeds="0-1") == 0
    assert seeds_in(tmp_path) == [0, 1]
    assert path.read_bytes().count(b"\n") == whole.count(b"\n")


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"seed":0}'])
@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_line_is_refused_and_named(text, number, tmp_path, capsys):
    path = tmp_path / f"{LABEL}.jsonl"
    for seed in (0, 1):
        records.append(path, dataclasses.asdict(Preset()), made_up_run(seed))
    lines = path.read_text().split("\n")
    lines[number - 1] = text
    path.write_text("\n".join(lines))
    before = path.read_bytes()
    for command in (lambda: run(tmp_path), lambda: main(["summary", str(tmp_path)])):
        assert command() == 2
        assert f"{path} の {number} 行目" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_seed_recorded_twice_is_refused(tmp_path):
    for _ in range(2):
        records.append(tmp_path / "x.jsonl", {}, made_up_run(3))
    with pytest.raises(ValueError, match=r"3 行目.*シード 3"):
        load_records(tmp_path)


def change_settings(path, **settings):
    header, *lines = path.read_text().split("\n")
    header = json.loads(header)
    header["settings"] |= settings
    header["settings"] = {k: v for k, v in header["settings"].items() if v != "gone"}
    path.write_text("\n".join([json.dumps(header), *lines]))


def test_settings_are_compared_and_not_mixed(tmp_path, capsys):
    assert run(tmp_path, seeds="0") == 0
    (path,) = tmp_path.iterdir()
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


def test_the_file_does_not_depend_on_the_order_of_the_settings(tmp_path):
    settings = ["--set", "env_id=CartPole-v1", "--set", "tau=0.5", "--set", "steps=120"]
    for start in (0, 2):
        changes = settings[start:] + settings[:start]
        command = ["run", "stable", "--seeds", "0", "--out", str(tmp_path), *changes]
        assert main(command) == 0
    assert [path.name for path in tmp_path.iterdir()] == [
        "stable,env_id=CartPole-v1,steps=120,tau=0.5.jsonl"
    ]


# The command


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["sable", "--seeds", "0"], list(PRESETS)),
        (["stable", "--seeds", "0", "--set", "learning_rate=1"], ["lr", "tau"]),
        (["stable", "--seeds", "0", "--set", "tau"], ["lr", "tau"]),
        (["stable", "--seeds", "0", "--set", "tau=2"], ["tau", "2"]),
        (["stable", "--seeds", "0", "--set", "lr=fast"], ["lr", "fast"]),
        (["stable", "--seeds", "0", "--set", "target_rule=mean"], ["max", "double"]),
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


def test_what_the_lander_needs_is_named(monkeypatch, tmp_path, capsys):
    for name in [
        name for name in sys.modules if name.startswith("gymnasium.envs.box2d")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    command = ["run", "lander", "--seeds", "0", "--out", str(tmp_path / "runs")]
    assert main(command) == 2
    assert 'pip install "gymnasium[box2d]"' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "a", "3-1", "0-", "1,,2", "0,5-2"])
def test_bad_seeds_are_refused(text):
    with pytest.raises(ValueError, match="シード"):
        parse_seeds(text)


def test_seeds_are_ranges_and_numbers():
    assert parse_seeds("0-2,7,1") == [0, 1, 2, 7]


def test_the_original_preset_is_the_agent_of_chapter_4():
    agent = PRESETS["original"].make_agent(gym.make("CartPole-v1"), 0)
    assert (agent.gamma, agent.lr, agent.epsilon, agent.tau) == (0.98, 0.0005, 0.1, 0)
    assert (agent.buffer_size, agent.batch_size, agent.schedules) == (10_000, 32, {})
    assert agent.target_rule == "max"


# Runs


def test_a_run_is_what_train_and_evaluate_give():
    preset = dataclasses.replace(PRESETS["stable"], steps=200, learning_start=64)
    result = run_seed(preset, 3)
    env = preset.make_env()
    record = train(env, preset.make_agent(env, 3), steps=200, seed=3)
    assert result["returns"] == record.returns


def test_a_run_with_checkpoints_is_the_same_run(tmp_path):
    preset = dataclasses.replace(PRESETS["stable"], steps=200)
    watched = dataclasses.replace(preset, checkpoint_steps=80)
    plain, measured = run_seed(preset, 3), run_seed(watched, 3)
    assert measured["evaluation"] == plain["evaluation"]
    assert len(plain["returns"]) > 10
    assert measured["returns"] == plain["returns"][:10]
    assert [step for step, *_ in measured["checkpoints"]] == [80, 160]
    assert plain["checkpoints"] == []


def test_results_depend_on_the_seed_and_not_on_the_number_of_jobs(tmp_path, capfd):
    pytest.importorskip("distributed")
    assert run(tmp_path / "a", "--jobs", "1") == 0
    assert run(tmp_path / "b", "--jobs", "3") == 0
    assert capfd.readouterr().err == ""
    a = contents(tmp_path / "a")
    assert a == contents(tmp_path / "b")
    assert len({str(result["returns"]) for result in a[LABEL]}) == 3


@pytest.mark.parametrize("extra", [["--jobs", "2"], ["--dask", "tcp://127.0.0.1:1"]])
def test_without_dask_the_extra_is_named(extra, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(tmp_path, *extra) == 2
    assert ".[dask]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert run(tmp_path, seeds="0") == 0


FRAGILE = """
import os
from pathlib import Path

import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Fragile(CartPoleEnv):
    def reset(self, *, seed=None, options=None):
        if seed == 1:
            os._exit(1)  # always
        if seed == 2:
            raise RuntimeError("oh")
        mark = Path(__file__).with_name("died")
        if seed == 3 and not mark.exists():  # once
            mark.touch()
            os._exit(1)
        return super().reset(seed=seed, options=options)

gym.register("Fragile-v0", Fragile, max_episode_steps=500)
"""


def test_what_dies_or_fails_is_named_and_the_rest_goes_on(tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "fragile.py").write_text(FRAGILE)
    out = tmp_path / "runs"
    result = subprocess.run(
        [
            *(*COMMAND, "--seeds", "0-6", "--jobs", "2", "--out", str(out), *QUICK),
            *("--set", "env_id=fragile:Fragile-v0"),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert result.returncode == 1
    label = "stable,env_id=fragile-Fragile-v0,steps=120,learning_start=64"
    dead, failed = sorted(result.stderr.splitlines())
    assert dead.startswith(f"{label} シード 1: ") and "ワーカー" in dead
    assert failed == f"{label} シード 2: RuntimeError: oh"
    assert seeds_in(out) == [0, 3, 4, 5, 6]


def test_a_failure_in_the_process_itself_is_named_too(tmp_path, monkeypatch, capsys):
    def fails_once(preset, seed):
        if seed == 1:
            raise RuntimeError("oh")
        return made_up_run(seed)

    monkeypatch.setattr(sweeps, "run_seed", fails_once)
    assert run(tmp_path) == 1
    assert capsys.readouterr().err == f"{LABEL} シード 1: RuntimeError: oh\n"
    assert seeds_in(tmp_path) == [0, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of a terminal")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_loses_no_finished_run_and_leaves_no_process(jobs, tmp_path):
    psutil = pytest.importorskip("psutil")
    if jobs == "2":
        pytest.importorskip("distributed")
    process = subprocess.Popen(
        [*COMMAND, "--seeds", "0-99", "--jobs", jobs, "--out", str(tmp_path), *QUICK],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a job in the background of a shell would inherit that SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    wait_until(lambda: lines_in(tmp_path) >= 3)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= int(jobs) - 1
    os.killpg(process.pid, signal.SIGINT)  # to parent and workers, as Ctrl-C does
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == (
        "中断しました。終わった結果は残っています。同じコマンドで続けられます。\n"
    )
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert 2 <= len(seeds_in(tmp_path)) == lines_in(tmp_path) - 1 < 100


def test_workers_end_with_a_killed_parent(tmp_path):
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    process = subprocess.Popen(
        [*COMMAND, "--seeds", "0-99", "--jobs", "2", "--out", str(tmp_path), *QUICK],
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: lines_in(tmp_path) >= 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    assert not psutil.wait_procs(workers, timeout=20)[1]


def test_a_dask_cluster_loses_nothing_when_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None
    ) as cluster:
        command = [*COMMAND, "--seeds", "0-15", "--out", str(tmp_path / "dask"), *QUICK]
        process = subprocess.Popen(
            [*command, "--dask", cluster.scheduler_address],
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        wait_until(lambda: lines_in(tmp_path / "dask") >= 2)
        psutil.Process(cluster.workers[0].pid).kill()
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert run(tmp_path / "local", seeds="0-15") == 0
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_a_scheduler_that_goes_away_is_reported(tmp_path):
    distributed = pytest.importorskip("distributed")
    # with threads: a second task of the same process has to wait for DeZero's settings
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    )
    with cluster:
        command = [*COMMAND, "--seeds", "0-99", "--out", str(tmp_path), *QUICK]
        process = subprocess.Popen(
            [*command, "--dask", cluster.scheduler_address],
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        wait_until(lambda: lines_in(tmp_path) >= 3)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "スケジューラ" in errors and errors.count("\n") == 1
    assert 2 <= len(seeds_in(tmp_path)) < 100


def test_a_result_that_cannot_be_fetched_is_a_lost_connection(
    tmp_path, monkeypatch, capfd
):
    def lost(client, tasks):
        yield LABEL, 0, made_up_run(0)
        raise concurrent.futures.CancelledError("scheduler-connection-lost")

    monkeypatch.setattr(
        sweeps, "_connect", lambda jobs, address: contextlib.nullcontext()
    )
    monkeypatch.setattr(sweeps, "_outcomes", lost)
    assert run(tmp_path, "--jobs", "2") == 2
    assert "スケジューラ" in capfd.readouterr().err


def test_a_scheduler_that_is_not_there_is_named(tmp_path, capfd):
    pytest.importorskip("distributed")
    assert run(tmp_path, "--dask", "tcp://127.0.0.1:1") == 2
    assert "127.0.0.1:1" in capfd.readouterr().err


# Summaries


def test_the_summary_counts_and_averages(tmp_path, capsys):
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


def test_a_summary_of_nothing_is_refused(tmp_path, capsys):
    assert main(["summary", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_summary_without_a_threshold_counts_nothing_as_solved(tmp_path):
    settings = {"env_id": "Pendulum-v1"}
    records.append(tmp_path / "own.jsonl", settings, made_up_run(0))
    (row,) = records.summarize(load_records(tmp_path))
    assert row["solved"] == 0 and row["interval"] == [None, None]


PLAN = """
question = "?"
preset = "stable"
seeds = "0-1"
common = "batch_size=4"
[arms]
short = "steps=40"
shorter = "steps=30"
"""


def test_a_plan_runs_its_arms_with_its_seeds(tmp_path, capsys):
    path, out = tmp_path / "plan.toml", tmp_path / "out"
    path.write_text(PLAN, encoding="utf-8")
    assert main(["plan", str(path), "--arm", "shorter", "--out", str(out)]) == 0
    assert [str(file.relative_to(out)) for file in out.rglob("*.jsonl")] == [
        str(Path("plan", "shorter.jsonl"))
    ]
    assert main(["plan", str(path), "--out", str(out)]) == 0
    plan, records = load_plan(path), load_records(out / "plan")
    assert {arm: record.preset for arm, record in records.items()} == plan.arms
    assert [run["steps"] for run in records["shorter"].runs] == [30, 30]
    assert [run["seed"] for run in records["short"].runs] == plan.seeds == [0, 1]


def test_an_arm_is_run_of_every_plan_that_has_it(tmp_path):
    files = [tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "c.toml"]
    for file in files:
        file.write_text(PLAN, encoding="utf-8")
    files[2].write_text(PLAN.replace("shorter", "shortest"), encoding="utf-8")
    names, out = [str(file) for file in files], tmp_path / "out"
    assert main(["plan", *names, "--arm", "shorter", "--out", str(out)]) == 0
    assert sorted(path.parent.name for path in out.rglob("*.jsonl")) == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('preset = "stable"', 'preset = "steady"', "steady"),
        ('preset = "stable"', "", "preset"),
        ('seeds = "0-1"', 'seeds = "1-0"', "1-0"),
        ("steps=40", "stops=40", "stops"),
        ("batch_size=4", "bath_size=4", "bath_size"),
        ("steps=40", "steps=0", "steps"),
        ('question = "?"', 'question = "', "plan.toml"),
    ],
)
def test_a_bad_plan_is_refused_by_name(tmp_path, capsys, old, new, message):
    path, out = tmp_path / "plan.toml", tmp_path / "out"
    path.write_text(PLAN.replace(old, new), encoding="utf-8")
    assert main(["plan", str(path), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and "plan.toml" in error
    assert not out.exists()


def test_an_unknown_arm_is_refused(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    arguments = ["plan", str(path), "--arm", "long", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "shorter" in capsys.readouterr().err


def test_the_policy_of_a_seed_is_kept_at_the_steps_that_are_asked_for(tmp_path, capsys):
    command = ["policy", "stable", "--seed", "3", "--out", str(tmp_path)]
    command += ["--set", "steps=90", "--at", "40", "90"]
    assert main(command) == 0
    names = ["000040.npz", "000090.npz"]
    assert [path.name for path in sorted(tmp_path.rglob("*.npz"))] == names
    assert capsys.readouterr().out.count(".npz") == 2
    assert main([*command, "91"]) == 2
    assert "at" in capsys.readouterr().err
