"""PQN, stream Q(lambda) and what they are made of: by hand, against Gymnasium, against differences."""

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import train
from rlbook_helpers.beyond.games import Step, play
from rlbook_helpers.beyond.layer_norm import LayerNorm, NormalizedQNet, layer_norm
from rlbook_helpers.beyond.poles import Poles
from rlbook_helpers.beyond.pqn import PQNAgent, lambda_returns, q_loss, train_parallel
from rlbook_helpers.beyond.stream import SparseQNet, StreamQ
from rlbook_helpers.dezero_compat import F, Model, Variable
from rlbook_helpers.networks import Linear, QNet2, ordered_params, predict

START = np.array([[0.01, -0.02, 0.03, 0.04]])


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 2, 4)])
def test_layer_norm_against_its_definition_and_differences(shape):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(3, 2, shape), rng.normal(size=shape)
    y = layer_norm(x).data.reshape(len(x), -1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=1), 1, atol=1e-4)

    variable = Variable(x)
    F.sum(layer_norm(variable) * weights).backward()
    for i in np.ndindex(*shape):
        step = np.zeros(shape)
        step[i] = 1e-5
        up, down = (LayerNorm().forward(x + s * step) for s in (1, -1))
        slope = ((up - down) * weights).sum() / 2e-5
        assert variable.grad.data[i] == pytest.approx(slope, abs=1e-7)


def test_layer_norm_stays_float32_and_survives_equal_inputs():
    x = np.full((2, 4), 7, np.float32)
    variable = Variable(x)
    y = layer_norm(variable)
    F.sum(y).backward()
    assert y.data.dtype == variable.grad.data.dtype == np.float32
    assert not y.data.any()
    assert np.isfinite(variable.grad.data).all()


def test_normalized_network_is_its_formula_and_starts_as_the_plain_one():
    network, plain = NormalizedQNet(2, seed=3), QNet2(2, seed=3)
    for name in ("l1", "l2", "l3"):
        a, b = getattr(network, name), getattr(plain, name)
        np.testing.assert_array_equal(a.W.data, b.W.data)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    h = x
    for layer in (network.l1, network.l2):
        z = h @ layer.W.data + layer.b.data
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
        h = np.maximum(z, 0)
    for values in (network.predict(x), network(x).data):
        np.testing.assert_allclose(values, h @ network.l3.W.data, atol=1e-5)
    np.testing.assert_allclose(network.predict(x[0]), network.predict(x)[0], atol=1e-6)


@pytest.mark.parametrize("network", [NormalizedQNet(2, seed=3), QNet2(2, seed=3)])
def test_fused_loss_is_that_of_dezero(network):
    rng = np.random.default_rng(0)
    states, actions = rng.normal(size=(6, 4)), rng.integers(2, size=6)
    targets, found = rng.normal(size=6), []
    for p in network.params():  # float64, to see a small difference
        p.data = p.data.astype(float)
    for loss in (
        q_loss(network, states, actions, targets),
        F.mean_squared_error(network(states)[np.arange(6), actions], targets),
    ):
        network.cleargrads()
        loss.backward()
        found.append([loss.data, *(p.grad.data for p in network.params())])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_network_without_shortcuts_is_learnt_too():
    class Plain(Model):
        def __init__(self):
            super().__init__()
            self.l1 = Linear(4, 2, np.random.default_rng(0))

        def forward(self, x):
            return self.l1(x)

    agent, _ = trained(Plain(), lr_end=0.001)
    assert (weights(agent.network) != weights(Plain())).any()


def test_poles_move_as_gymnasium_does():
    env, poles, rng = gym.make("CartPole-v1"), Poles(3), np.random.default_rng(2)
    env.reset(seed=1)
    poles.reset(rng)
    poles.exact[:] = env.unwrapped.state
    ends = 0
    for _ in range(500):
        action = int(rng.integers(2))
        state, reward, terminated, _, _ = env.step(action)
        step = poles.step(np.full(3, action))
        np.testing.assert_allclose(step.next_states, [state] * 3, rtol=1e-6, atol=1e-7)
        assert step.next_states.dtype == step.states.dtype == np.float32
        assert (step.rewards == reward).all() and step.rewards.dtype == np.float32
        assert (step.terminated == terminated).all() and not step.truncated.any()
        if terminated:
            ends += 1
            assert (np.abs(step.states) <= 0.05).all()
            assert len(np.unique(step.states)) == 12  # each starts somewhere else
            env.reset()
            poles.exact[:] = env.unwrapped.state
        else:
            np.testing.assert_array_equal(step.states, step.next_states)
    assert ends > 10


def balance(states):
    return (states[:, 2] + states[:, 3] + 0.1 * states[:, 1] > 0).astype(int)


def test_poles_are_cut_at_the_limit_and_start_again_alone():
    poles = Poles(2, limit=5)
    poles.reset(np.random.default_rng(0))
    poles.steps[1] = 2
    seen = [poles.step(np.array([t % 2, t % 2])).truncated.tolist() for t in range(10)]
    cut = [[t in (4, 9), t in (2, 7)] for t in range(10)]
    assert seen == cut
    assert Poles(1).limit == 500
    whole = play(Poles(8, limit=100), balance, np.random.default_rng(0))
    assert whole.tolist() == [100] * 8


def test_play_counts_first_episodes_only():
    left = play(Poles(4), lambda s: np.zeros(len(s), int), np.random.default_rng(0))
    assert ((left >= 8) & (left <= 11)).all()
    cut = play(Poles(4), balance, np.random.default_rng(0), most_steps=7)
    assert cut.tolist() == [7] * 4


@pytest.mark.parametrize("actions", [[0, 2], [0.5, 1], [0], [[0, 1]]])
def test_poles_refuse_other_actions(actions):
    poles = Poles(2)
    before = poles.reset(np.random.default_rng(0))
    with pytest.raises(ValueError, match="actions"):
        poles.step(np.array(actions))
    np.testing.assert_array_equal(poles.exact.astype(np.float32), before)


# Three steps of one game, by hand: gamma 0.5, lambda 0.5, rewards 1, 2, 4, values of the next states 8, 16, 32.
@pytest.mark.parametrize(
    "terminated, truncated, expected",
    [
        # last: 4 + 16 = 20; then 2 + (16 + 20) / 4 = 11; then 1 + (8 + 11) / 4 = 5.75
        ("000", "000", [5.75, 11, 20]),
        # a termination has no future
        ("010", "000", [1 + (8 + 2) / 4, 2, 20]),
        # a truncation has the value of its true next state, and nothing of the next episode
        ("000", "010", [1 + (8 + 10) / 4, 2 + 8, 20]),
        # both: it has ended
        ("010", "010", [1 + (8 + 2) / 4, 2, 20]),
        ("001", "000", [1 + (8 + 7) / 4, 2 + (16 + 4) / 4, 4]),
        ("000", "001", [5.75, 11, 20]),
    ],
)
def test_lambda_returns_by_hand(terminated, truncated, expected):
    flags = [np.array([[c == "1"] for c in text]) for text in (terminated, truncated)]
    rewards = np.array([[1], [2], [4]], np.float32)
    values = np.array([[8], [16], [32]], np.float32)
    returns = lambda_returns(rewards, values, *flags, 0.5, 0.5)
    assert returns.dtype == np.float32
    np.testing.assert_allclose(returns[:, 0], expected)
    one_step = lambda_returns(rewards, values, *flags, 0.5, 0)
    np.testing.assert_allclose(one_step, rewards + 0.5 * values * ~flags[0])


def test_lambda_one_sums_the_rewards_and_games_do_not_mix():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 6, 3))
    ended = np.zeros((6, 3), bool)
    ended[2, 1] = True
    returns = lambda_returns(rewards, values, ended, ended & False, 0.9, 1)
    powers = 0.9 ** np.arange(6)
    assert returns[0, 0] == pytest.approx(
        powers @ rewards[:, 0] + 0.9**6 * values[-1, 0]
    )
    assert returns[0, 1] == pytest.approx(powers[:3] @ rewards[:3, 1])


def trained(network, steps=320, seed=0, **options):
    env, own = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    agent = PQNAgent(network, steps=steps, seed=own, **options)
    return agent, train_parallel(Poles(8), agent, steps, env)


def weights(network):
    return np.concatenate([p.data.ravel() for p in ordered_params(network)])


def test_pqn_updates_as_often_as_it_says_and_follows_its_schedules():
    agent, record = trained(NormalizedQNet(2, seed=0), rollout=4, epochs=3)
    assert agent.num_steps == 320
    assert agent.num_updates == 320 // (8 * 4) * 3 * 4
    assert agent.epsilon == pytest.approx(0.05)
    assert agent.lr == agent.optimizer.alpha == 0
    assert sum(record.lengths) <= 320 and record.returns == record.lengths
    assert agent.target is agent.network and not agent.waiting


def test_same_seeds_same_weights():
    once, again, other = (
        weights(trained(NormalizedQNet(2, seed=0), seed=seed)[0].network)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_target_is_a_copy_of_every_kth_update():
    agent, _ = trained(QNet2(2, seed=0), rollout=4, epochs=1, sync_updates=3, lr_end=1)
    assert agent.num_updates == 40
    kept = weights(agent.target)
    assert (kept != weights(agent.network)).any()
    agent.sync_updates = 41
    batch = np.zeros((4, 4), np.float32), np.array([0, 1, 0, 1]), np.ones(4, np.float32)
    agent.fit(*batch)
    np.testing.assert_array_equal(weights(agent.target), weights(agent.network))
    agent.fit(*batch)
    assert (weights(agent.target) != weights(agent.network)).any()


def test_learning_uses_the_true_next_states_and_the_target_network():
    agent = PQNAgent(
        QNet2(2, seed=0), steps=9, rollout=2, sync_updates=50, reward_scale=0.5, seed=0
    )
    agent.target = QNet2(2, seed=9)
    rng = np.random.default_rng(0)
    fitted = []
    agent.fit = lambda s, a, y: fitted.extend(zip(s.tolist(), a.tolist(), y.tolist()))
    steps = [
        Step(
            rng.normal(size=(2, 4)).astype(np.float32),
            np.float32([1, 2]),
            np.array([False, t == 0]),
            np.array([t == 0, False]),
            rng.normal(size=(2, 4)).astype(np.float32),
        )
        for t in range(2)
    ]
    states = rng.normal(size=(2, 2, 4)).astype(np.float32)
    for s, step in zip(states, steps):
        agent.update(s, np.array([0, 1]), step)
    values = [predict(agent.target, step.next_states).max(axis=1) for step in steps]
    expected = [
        (states[0, 0], 0, 0.5 + 0.99 * values[0][0]),
        (states[0, 1], 1, 1),
        (states[1, 0], 0, 0.5 + 0.99 * values[1][0]),
        (states[1, 1], 1, 1 + 0.99 * values[1][1]),
    ]
    assert len(fitted) == 8  # two epochs
    for state, action, target in expected:
        found = [y for s, a, y in fitted if s == state.tolist() and a == action]
        assert found == pytest.approx([target] * 2, rel=1e-5)


def test_gradient_is_cut():
    agent = PQNAgent(QNet2(2, seed=0), steps=100, gradient_limit=0.5, seed=0)
    states = np.ones((4, 4), np.float32)
    agent.fit(states, np.zeros(4, int), np.full(4, 1e4, np.float32))
    norm = np.sqrt(sum((p.grad.data**2).sum() for p in agent.network.params()))
    assert norm == pytest.approx(0.5, rel=1e-4)


def test_exploration_is_uniform_and_ends():
    agent = PQNAgent(QNet2(2, seed=0), steps=100, epsilon_part=0.5, seed=0)
    states = np.zeros((4_000, 4), np.float32)
    assert abs(agent.get_actions(states).mean() - 0.5) < 0.05
    agent.epsilon_schedule = lambda step: 0.0
    assert (agent.get_actions(states) == agent.greedy_actions(states)).all()
    assert agent.greedy_action(states[0]) == agent.greedy_actions(states)[0]


def test_on_step_sees_every_step_and_can_stop_nothing():
    seen = []
    agent = PQNAgent(QNet2(2, seed=0), steps=40, seed=0)
    rng = np.random.default_rng(0)
    record = train_parallel(Poles(8), agent, 45, rng, lambda *x: seen.append(x))
    assert [step for step, _ in seen] == [8, 16, 24, 32, 40]
    assert any(ended for _, ended in seen) == bool(record.returns)


@pytest.mark.parametrize(
    "options",
    [
        *({"gamma": 2}, {"lam": -1}, {"lr": 3}, {"epsilon_end": 2}, {"steps": 0}),
        *({"rollout": 0}, {"epochs": 0}, {"minibatches": 0}, {"sync_updates": 0}),
        *({"gradient_limit": 0}, {"epsilon_part": 2}, {"reward_scale": 0}),
    ],
)
def test_bad_settings_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PQNAgent(QNet2(2, seed=0), **{"steps": 10, **options})


def test_sparse_network_has_the_zeros_it_says():
    network = SparseQNet(2, 4, 20, seed=0)
    for layer, zeros in ((network.l1, 3), (network.l2, 18), (network.l3, 18)):
        assert ((layer.W.data == 0).sum(axis=0) == zeros).all()
        assert np.abs(layer.W.data).max() <= 1 / np.sqrt(layer.W.shape[0])


def stream(**options):
    network = SparseQNet(2, 4, 16, seed=0)
    return StreamQ(network, steps=100, seed=0, **options)


def gradient(agent, state, action):
    agent.network.cleargrads()
    agent.network(agent.scale(state[np.newaxis]))[:, action].backward()
    return np.concatenate([p.grad.data.ravel() for p in agent.params])


def test_stream_q_follows_its_equations():
    agent = stream()
    states = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    actions = []
    trace = np.zeros_like(agent.trace)
    for t in range(2):
        agent.scale.update(states[t])
        actions.append(agent.greedy_action(states[t]))
        before = weights(agent.network)
        trace = 0.99 * 0.8 * trace + gradient(agent, states[t], actions[t])
        value = agent.action_values(states[t])[actions[t]]
        future = agent.action_values(states[t + 1]).max()
        agent.update(states[t], actions[t], 1.0, states[t + 1], False)
        sums = [1.0, 1.99][: t + 1]
        scale = np.std(sums) or 1.0
        error = 1 / scale + 0.99 * future - value
        bound = 1.0 * 2.0 * max(abs(error), 1) * np.abs(trace).sum()
        step = min(1.0 / bound, 1.0)
        np.testing.assert_allclose(agent.trace, trace, rtol=1e-4, atol=1e-6)
        change = weights(agent.network) - before
        np.testing.assert_allclose(change, step * error * trace, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("why", ["done", "another action", "truncated"])
def test_stream_q_forgets(why):
    agent = stream()
    states = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    best = agent.greedy_action(states[0])
    action = 1 - best if why == "another action" else best
    agent.update(states[0], action, 1.0, states[1], why == "done")
    assert agent.trace.any() == (why == "truncated")
    state = states[2] if why == "truncated" else states[1]
    before = agent.trace.copy()
    own = gradient(agent, state, 0)
    agent.update(state, 0, 1.0, states[0], False)
    if agent.trace.any():
        np.testing.assert_allclose(agent.trace, own, rtol=1e-5)
        assert why != "truncated" or (agent.trace != before).any()


def test_stream_q_trains_on_one_environment():
    agent = stream()
    env = gym.make("CartPole-v1")
    record = train(env, agent, steps=100, seed=0)
    assert agent.num_steps == 100 and agent.epsilon == pytest.approx(0.01)
    assert record.returns
    assert (agent.greedy_actions(np.zeros((3, 4), np.float32)) < 2).all()
