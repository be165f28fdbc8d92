"""Policy files: written, read again, refused when they hold something else."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from rlbook_helpers import train
from rlbook_helpers.experiments import policies
from rlbook_helpers.experiments.presets import PRESETS, PatientPreset, Preset

ROOT = Path(__file__).parents[2]
RECORDED = {
    "lander": ROOT / "chapters/data/policies",
    "stable": ROOT / "book/figures/policies",  # of the live figures
    "original": ROOT / "book/figures/policies",
}
LITTLE = dataclasses.replace(PRESETS["stable"], steps=120, average_steps=40)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return policies.record(LITTLE, 3, [60, 120], tmp_path_factory.mktemp("policies"))


def test_recorded_policy_acts_like_the_agent(files):
    env = LITTLE.make_env()
    agent = LITTLE.make_agent(env, 3)
    early = policies.of_agent(agent, {"seed": 3})
    train(env, agent, steps=120, seed=3)
    assert [path.name for path in files] == ["000060.npz", "000120.npz"]
    policy = policies.load(files[1])
    assert policy.about["step"] == 120 and policy.about["seed"] == 3
    assert policy.about["settings"] == dataclasses.asdict(LITTLE)
    assert len(policy.about["returns"]) > 2
    rng = np.random.default_rng(0)
    states = rng.standard_normal((50, 4)).astype(np.float32)
    assert [policy(s) for s in states] == [agent.greedy_action(s) for s in states]
    np.testing.assert_allclose(
        policy.action_values(states),
        agent.qnet_average.predict(agent.scaled(states)),
        rtol=1e-6,
    )
    assert (early.Ws[0] != policy.Ws[0]).any()  # a copy, which learning leaves alone


def test_seed_gives_the_same_file_again(files, tmp_path):
    (again,) = policies.record(LITTLE, 3, [60], tmp_path)
    assert again.read_bytes() == files[0].read_bytes()


@pytest.mark.parametrize("kept", [0, 10, 2_000, -1])
def test_torn_file_is_refused(files, tmp_path, kept):
    path = tmp_path / "x.npz"
    path.write_bytes(files[0].read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.npz"):
        policies.load(path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("this was executed",))


def contents(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize(
    "change",
    [
        {"W1": np.zeros((3, 3), np.float32)},
        {"W0": np.zeros(4)},
        {"b0": np.zeros(2, np.float32)},
        {"mean": np.full(4, np.nan, np.float32)},
        {"deviation": np.zeros(4, np.float32)},
        {"about": np.array("[1")},
        {"about": np.array(3)},
        {"mean": None},
        {"W0": np.array([Bomb()], dtype=object)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_bad_contents_are_refused(files, tmp_path, change):
    path = tmp_path / "x.npz"
    arrays = {k: v for k, v in (contents(files[0]) | change).items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"x\.npz"):
        policies.load(path)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    for data in (path.read_bytes(), pickle.dumps(Bomb())):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.npz"):
            policies.load(path)
    with pytest.raises(FileNotFoundError):
        policies.load(tmp_path / "none.npz")


def test_weights_too_large_to_unpack_are_refused(files, tmp_path):
    """100 MB of zeros, which are 100 KB as a file."""
    path = tmp_path / "x.npz"
    zeros = np.zeros((4, 7_000_000), np.float32)
    np.savez_compressed(path, **(contents(files[0]) | {"W0": zeros}))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"x\.npz .*100,000,000 バイト"):
        policies.load(path)


def test_failed_save_keeps_the_old_file(files, tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    policy = policies.load(files[0])
    policies.save(path, policy)
    before = path.read_bytes()

    def half(file, **arrays):
        file.write(b"PK")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", half)
    with pytest.raises(OSError, match="disk full"):
        policies.save(path, policy)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_policy_of_a_patient_is_refused(tmp_path):
    sick = PatientPreset(episodes=None, steps=100, patient="no_mask")
    with pytest.raises(TypeError, match="patient='no_mask'"):
        policies.record(sick, 0, [100], tmp_path)


@pytest.mark.parametrize("at", [[0], [121], [1.5]])
def test_steps_outside_the_training_are_refused(at, tmp_path):
    with pytest.raises((ValueError, TypeError), match="at"):
        policies.record(LITTLE, 3, at, tmp_path)
    assert not list(tmp_path.iterdir())


IN_STEPS = {"episodes": None, "steps": 25_000, "sync_interval": None, "sync_steps": 100}
CHAPTER_4 = dataclasses.replace(PRESETS["original"], **IN_STEPS)


@pytest.mark.parametrize(
    "name, preset, steps",
    [
        ("lander", PRESETS["lander"], [50_000, 200_000]),
        ("stable", PRESETS["stable"], [25_000]),
        ("original", CHAPTER_4, [25_000]),
    ],
)
def test_recorded_policies_come_from_preset_and_seed(name, preset, steps):
    """Repeat the first 300 steps, before rounding grows: all episodes of the lander, two of CartPole."""
    if name == "lander":
        pytest.importorskip("Box2D")
    env = preset.make_env()
    again = train(env, preset.make_agent(env, 50), steps=300, seed=50).returns
    assert len(again) >= 2
    for step in steps:
        path = RECORDED[name] / f"{name}/{step:06}.npz"
        assert path.stat().st_size <= 100_000
        about = policies.load(path).about
        assert (about["seed"], about["step"]) == (50, step)
        assert Preset(**about["settings"]) == preset
        few = len(again) if name == "lander" else 2
        np.testing.assert_allclose(again[:few], about["returns"][:few], atol=1)
