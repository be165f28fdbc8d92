"""Policy files: written, read again, refused when they hold something else."""

import dataclasses
import itertools
import pickle
import zipfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import QNet2, evaluate, train
from rlbook_helpers.dezero_compat import F, Model
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
    env_seed, agent_seed = LITTLE.seeds(3)
    agent = LITTLE.make_agent(env, agent_seed)
    early = policies.of_agent(agent, {"seed": 3})
    train(env, agent, steps=120, seed=env_seed)
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


def with_nan(array):
    array.flat[-1] = np.nan
    return array


@pytest.mark.parametrize(
    "field, change",
    [
        ("Ws", lambda Ws: [with_nan(W.copy()) for W in Ws]),
        ("Ws", lambda Ws: [W.astype(np.float64) for W in Ws]),
        ("Ws", lambda Ws: [W.tolist() for W in Ws]),
        ("Ws", lambda Ws: [Ws[0], Ws[2]]),
        ("Ws", lambda Ws: [Ws[0].ravel(), *Ws[1:]]),
        ("bs", lambda bs: [*bs[:2], bs[2].reshape(1, 2)]),
        ("bs", lambda bs: [*bs[:2], bs[1]]),
        ("bs", lambda bs: [*bs[:2], with_nan(bs[2].copy())]),
        ("Ws", lambda Ws: [Ws[0][:3], *Ws[1:]]),
        ("bs", lambda bs: bs[:2]),
        ("bs", lambda bs: [*bs, bs[2]]),
        ("mean", lambda mean: with_nan(mean.copy())),
        ("mean", lambda mean: mean[:3]),
        ("mean", lambda mean: np.float32(0)),
        ("deviation", lambda deviation: deviation * 0),
        ("deviation", lambda deviation: -deviation),
        ("deviation", lambda deviation: deviation * np.eye(4, dtype="f4")[0]),
        ("deviation", lambda deviation: deviation[:1]),
        ("deviation", lambda deviation: deviation.astype(">f4")),
        *(
            ("about", lambda about, value=value: value)
            for value in (
                *({1: 2}, {"a": (1, 2)}, {"a": np.nan}, {"a": np.int64(1)}, {(1,): 2}),
                *([], [["a", 1]], {"a": {1}}, {"a": Path("x")}, None),
            )
        ),
    ],
)
def test_what_could_not_be_read_equal_is_not_saved(files, tmp_path, field, change):
    policy = policies.load(files[0])
    bad = dataclasses.replace(policy, **{field: change(getattr(policy, field))})
    folder = tmp_path / "new"
    folder.mkdir()
    with pytest.raises((TypeError, ValueError)):
        policies.save(folder / "x.npz", bad)
    assert not list(folder.iterdir())


def test_changes_that_fit_each_other_are_not_saved_either(files, tmp_path):
    column = np.ones((4, 1), np.float32)
    for changes, word in (
        ({"Ws": [], "bs": []}, "重み"),
        ({"mean": column, "deviation": column}, "mean の形"),
    ):
        policy = dataclasses.replace(policies.load(files[0]), **changes)
        with pytest.raises(ValueError, match=word):
            policies.save(tmp_path / "x.npz", policy)


def test_saved_policy_is_read_equal(tmp_path):
    """The widest that can be saved: an own number of layers, numbers of the largest size."""
    rng = np.random.default_rng(0)
    sizes = [3, 5, 4, 6, 2]
    Ws = [rng.standard_normal(s).astype("f4") for s in itertools.pairwise(sizes)]
    bs = [np.full(size, -3e38, "f4") for size in sizes[1:]]
    tiny = np.full(3, 1e-45, "f4")
    about = {"あ": [None, True, 1.5, {"b": "\ud800"}], "": 10**30}
    policy = policies.Policy([np.asfortranarray(W) for W in Ws], bs, tiny, tiny, about)
    with np.errstate(over="ignore"):
        policies.save(tmp_path / "x.npz", policy)
        again = policies.load(tmp_path / "x.npz")
    for name, value in vars(policy).items():
        if name == "about":
            assert again.about == value
            continue
        for a, b in zip(value, vars(again)[name], strict=True):
            assert a.dtype == b.dtype == np.float32
            np.testing.assert_array_equal(a, b)
    assert (policy.state_size, policy.action_size) == (3, 2)


def test_policy_that_is_too_large_is_not_saved(files, tmp_path, monkeypatch):
    """The limit is that of reading: all that the file holds, headers too."""
    policy = policies.load(files[0])
    policies.save(tmp_path / "x.npz", policy)
    with zipfile.ZipFile(tmp_path / "x.npz") as file:
        total = sum(entry.file_size for entry in file.infolist())
    monkeypatch.setattr(policies, "LARGEST", total)
    policies.save(tmp_path / "y.npz", policy)
    monkeypatch.setattr(policies, "LARGEST", total - 1)
    with pytest.raises(ValueError, match="バイト"):
        policies.save(tmp_path / "z.npz", policy)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npz", "y.npz"]


def test_sentence_names_what_cannot_be_saved(files, tmp_path):
    policy = policies.load(files[0])
    path = tmp_path / "x.npz"
    for change, words in (
        ({"about": {1: 2}}, "about は JSON.*{1: 2}"),
        ({"about": {(1,): 2}}, "about は JSON"),
        ({"about": {"a": Path("x")}}, "about は JSON"),
        ({"mean": policy.mean.astype(np.float64)}, "mean は float32"),
        ({"Ws": [with_nan(W.copy()) for W in policy.Ws]}, "^W0 に NaN"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            policies.save(path, dataclasses.replace(policy, **change))


class Tanh(QNet2):
    def forward(self, x):
        return self.l3(F.tanh(self.l2(F.tanh(self.l1(x)))))


def test_only_networks_that_can_be_read_become_policies():
    env = LITTLE.make_env()
    for place in ("qnet", "qnet_average"):
        for network in (Tanh(2), Model()):
            agent = LITTLE.make_agent(env, 3)
            setattr(agent, place, network)
            with pytest.raises(ValueError, match="QNet2 そのもの"):
                policies.of_agent(agent, {})
        agent = LITTLE.make_agent(env, 3)
        setattr(agent, place, QNet2(2))
        getattr(agent, place).l2.b.data[3] = np.inf
        with pytest.raises(ValueError, match="b1 に NaN か無限大"):
            policies.of_agent(agent, {})
        getattr(agent, place).l2.b.data = np.zeros(128)
        with pytest.raises(TypeError, match="b1 は float32"):
            policies.of_agent(agent, {})


def test_policy_shares_no_array_with_the_agent():
    agent = LITTLE.make_agent(LITTLE.make_env(), 3)
    policy = policies.of_agent(agent, {})
    for array in (*policy.Ws, *policy.bs, policy.mean, policy.deviation):
        array[...] = 7
    assert all((p.data != 7).any() for p in agent.qnet.params())
    assert not (agent.scale.mean == 7).any() and not (agent.scale.deviation == 7).any()


def test_policy_is_compared_with_its_environment(files):
    policy = policies.load(files[0])
    assert evaluate(LITTLE.make_env(), policy, episodes=1).shape == (1,)
    with pytest.raises(ValueError, match="agent.action_size は 3"):
        evaluate(gym.make("Acrobot-v1"), policy, episodes=1)
    with pytest.raises(ValueError, match="agent.state_size は 6"):
        Ws, bs = [*policy.Ws[:2], policy.Ws[2][:, [0, 1, 1]]], [*policy.bs]
        bs[2] = bs[2][[0, 1, 1]]
        wide = dataclasses.replace(policy, Ws=Ws, bs=bs)
        evaluate(gym.make("Acrobot-v1"), wide, episodes=1)


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
CHAPTER_4 = dataclasses.replace(PRESETS["original"], separate_streams=False, **IN_STEPS)


@pytest.mark.parametrize(
    "name, preset, seed, steps",
    [
        ("lander", PRESETS["lander"], 37_200, [50_000, 200_000]),
        ("stable", PRESETS["stable"], 37_000, [25_000]),
        ("original", CHAPTER_4, 400, [25_000]),
    ],
)
def test_recorded_policies_come_from_preset_and_seed(name, preset, seed, steps):
    """Repeat the first 300 steps, before rounding grows: all episodes of the lander, two of CartPole."""
    if name == "lander":
        pytest.importorskip("Box2D")
    env = preset.make_env()
    env_seed, agent_seed = preset.seeds(seed)
    agent = preset.make_agent(env, agent_seed)
    again = train(env, agent, steps=300, seed=env_seed).returns
    assert len(again) >= 2
    for step in steps:
        path = RECORDED[name] / f"{name}/{step:06}.npz"
        assert path.stat().st_size <= 100_000
        about = policies.load(path).about
        assert (about["seed"], about["step"]) == (seed, step)
        assert Preset(**about["settings"]) == preset
        few = len(again) if name == "lander" else 2
        np.testing.assert_allclose(again[:few], about["returns"][:few], atol=1)
