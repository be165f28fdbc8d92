"""Presets of PQN, stream Q(lambda) and replay run, resume, are planned and summarized as the others."""

import dataclasses
import json

import numpy as np
import pytest

from rlbook_helpers.beyond.convolution import ConvolutionQNet
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.beyond.pqn import PQNAgent
from rlbook_helpers.beyond.stream import StreamQ
from rlbook_helpers.experiments import plans, records
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.presets import PRESETS, Preset, kind_of, preset_of
from rlbook_helpers.experiments.sweeps import run_seed
from rlbook_helpers.networks import QNet2

NEW = ("pqn", "stream", "replay", "breakout")
SMALL = {"steps": 320, "evaluation_episodes": 3}
QUICK = {
    "pqn": {**SMALL, "games": 8, "rollout": 4, "checkpoint_steps": 160},
    "stream": SMALL,
    "replay": {**SMALL, "average_steps": 100},
    "breakout": {**SMALL, "games": 8, "rollout": 4},
}


def quick(name, **settings):
    return dataclasses.replace(PRESETS[name], **QUICK[name], **settings)


@pytest.mark.parametrize("name", NEW)
def test_settings_come_back_as_the_preset(name, capsys):
    preset = PRESETS[name]
    assert preset_of(dataclasses.asdict(preset)) == preset
    assert kind_of(dataclasses.asdict(preset)) is type(preset)
    assert main(["settings", name]) == 0
    settings = plans.parse_settings(capsys.readouterr().out.split())
    assert preset_of(settings) == preset


@pytest.mark.parametrize("name", NEW)
def test_command_runs_resumes_and_summarizes(name, tmp_path, capsys):
    options = [f"--set={key}={value}" for key, value in QUICK[name].items()]
    command = ["run", name, *options, "--out", str(tmp_path), "--seeds"]
    assert main([*command, "3-4"]) == 0
    (path,) = tmp_path.glob("*.jsonl")
    before = path.read_bytes()
    assert main([*command, "3-5"]) == 0
    assert path.read_bytes().startswith(before)
    preset, runs = records.load(path)
    assert preset == quick(name)
    assert [run["seed"] for run in runs] == [3, 4, 5]
    assert all(len(run["evaluation"]) == 3 and run["steps"] == 320 for run in runs)
    capsys.readouterr()
    assert main(["summary", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["seeds"] == 3 and row["steps"] == 320


@pytest.mark.parametrize("name", NEW)
def test_seed_again_gives_the_same_result(name):
    once, again, other = (run_seed(quick(name), seed) for seed in (3, 3, 4))
    parts = ("returns", "checkpoints", "evaluation")
    assert [once[part] for part in parts] == [again[part] for part in parts]
    assert once["returns"] != other["returns"]


def test_marks_are_measured_and_do_not_disturb():
    run = run_seed(quick("pqn"), 3)
    assert [step for step, _ in run["checkpoints"]] == [160, 320]
    quiet = run_seed(dataclasses.replace(quick("pqn"), checkpoint_steps=None), 3)
    assert quiet["evaluation"] == run["evaluation"] and not quiet["checkpoints"]


def test_evaluation_and_marks_use_the_promised_seeds():
    preset, seen = quick("pqn"), []

    class Spy(type(preset)):
        def play(self, agent, games, seed):
            seen.append((games, seed))
            return super().play(agent, games, seed)

    run_seed(Spy(**vars(preset)), 7)
    assert seen == [(20, 2_000_007), (20, 2_000_007), (3, 1_000_007)]


@pytest.mark.parametrize("layer_norm", [False, True])
def test_replay_differs_from_stable_in_layer_norm_only(layer_norm):
    preset = dataclasses.replace(PRESETS["replay"], layer_norm=layer_norm)
    stable, env = PRESETS["stable"], preset.make_env()
    agent, reference = preset.make_agent(env, 5), stable.make_agent(env, 5)
    wanted = NormalizedQNet if layer_norm else QNet2
    assert type(agent.qnet) is type(agent.qnet_target) is wanted
    assert agent.qnet_target is not agent.qnet
    assert agent.optimizer.target is agent.qnet
    for a, b in zip(agent.qnet.params(), reference.qnet.params()):
        np.testing.assert_array_equal(a.data, b.data)
    settings = dataclasses.asdict(preset)
    del settings["layer_norm"]
    assert Preset(**settings) == stable


def test_agents_are_made_as_set():
    pqn = quick("pqn", network="plain", sync_updates=5, gamma=0.9, reward_scale=0.5)
    agent = pqn.make_agent(None, 0)
    assert type(agent) is PQNAgent and type(agent.network) is QNet2
    assert (agent.gamma, agent.reward_scale, agent.sync_updates) == (0.9, 0.5, 5)
    stream = quick("stream", kappa=3.0, sparsity=0.5).make_agent(None, 0)
    assert type(stream) is StreamQ and stream.kappa == 3
    assert ((stream.network.l1.W.data == 0).sum(axis=0) == 2).all()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("pqn", {"games": 0}, "games"),
        ("pqn", {"games": 400_000}, "games"),
        ("pqn", {"network": "deep"}, "network plain layer_norm"),
        ("pqn", {"checkpoint_steps": 33}, "checkpoint_steps games 32"),
        ("pqn", {"env_id": "Acrobot-v1"}, "env_id CartPole-v1"),
        ("pqn", {"tau": 0.1}, "games tau"),
        ("stream", {"steps": 0}, "steps"),
        ("stream", {"rollout": 3}, "kappa rollout"),
        ("replay", {"layer_norm": 2}, "layer_norm"),
        ("replay", {"env_id": "Acrobot-v1"}, "env_id CartPole-v1"),
        ("stable", {"games": 3}, "games buffer_size"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(name, settings, words):
    with pytest.raises(ValueError) as error:
        plans.find_preset(name, settings)
    assert all(word in str(error.value) for word in words.split())


def test_policies_of_other_agents_are_refused(tmp_path, capsys):
    command = ["policy", "pqn", "--seed", "0", "--at", "9", "--out", str(tmp_path)]
    assert main([*command, "--set", "steps=32"]) == 2
    assert "方策は残せません" in capsys.readouterr().err


def test_plan_needs_all_settings_of_its_kind(tmp_path):
    settings = plans.list_settings(PRESETS["pqn"])
    path = tmp_path / "plan.toml"

    def write(settings):
        path.write_text(
            f'settings = """{settings}"""\nseeds = "0-1"\n[arms]\npqn = ""\n'
            'target = "sync_updates=8"\n',
            encoding="utf-8",
        )

    write(settings)
    plan = plans.load_plan(path)
    assert plan.arms["pqn"] == PRESETS["pqn"]
    assert plan.arms["target"] == dataclasses.replace(PRESETS["pqn"], sync_updates=8)
    write(settings.replace("rollout=16", ""))
    with pytest.raises(ValueError, match="rollout"):
        plans.load_plan(path)


def test_breakout_is_played_on_its_screen():
    preset = quick("breakout")
    assert preset.make_env().observation_space.shape == (400,)
    totals = preset.evaluate(preset.make_agent(preset.make_env(), 0), 5)
    assert totals.shape == (3,) and (totals >= 0).all()
    net = quick("breakout", network="convolution").make_agent(None, 0).network
    assert type(net) is ConvolutionQNet
    blind = quick("breakout", env_id="rlbook/BreakoutWithoutTrail-v0")
    assert not blind.make_env().unwrapped.game.trail
    replay = dataclasses.replace(
        PRESETS["replay"], env_id="rlbook/Breakout-v0", **SMALL, average_steps=None
    )
    assert len(run_seed(replay, 3)["evaluation"]) == 3
