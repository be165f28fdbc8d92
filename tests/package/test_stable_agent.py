"""What chapter 5 adds to the agent of chapter 4, each option by itself."""

import numpy as np
import pytest
from test_agents import arrays, copies, fill, same, transitions

from rlbook_helpers import DQNAgent, QNet2
from rlbook_helpers.stable import LinearSchedule, StableDQNAgent


@pytest.mark.parametrize("tau", [0.0, 0.25])
def test_every_update_moves_the_target_network_by_tau(tau):
    agent = StableDQNAgent(tau=tau, batch_size=4, seed=0)
    for k in range(8):
        before = copies(agent.qnet_target)
        fill(agent, 1, seed=k)
        for was, now, online in zip(
            before, arrays(agent.qnet_target), arrays(agent.qnet)
        ):
            np.testing.assert_allclose(now, was + tau * (online - was), atol=1e-7)
    assert same(agent.qnet_target, before) == (tau == 0)


def test_sync_steps_synchronizes_every_so_many_steps():
    agent = StableDQNAgent(sync_steps=3, batch_size=4, seed=0)
    synced = []
    for step, transition in enumerate(transitions(12), 1):
        agent.update(*transition)
        if same(agent.qnet_target, agent.qnet):
            synced.append(step)
    assert synced == [1, 2, 3, 6, 9, 12]  # learning starts at step 4


@pytest.mark.parametrize(
    ("rule", "pessimism"), [("max", 0), ("double", 0), ("double", 0.25), ("double", 1)]
)
def test_next_value_follows_the_target_rule(rule, pessimism):
    agent = StableDQNAgent(target_rule=rule, pessimism=pessimism, action_size=3, seed=0)
    agent.qnet_target = QNet2(3, seed=1)
    x = np.random.default_rng(2).standard_normal((50, 4)).astype(np.float32)
    online, target = agent.qnet(x).data, agent.qnet_target(x).data
    want = []
    for online_qs, target_qs in zip(online, target):
        best = online_qs.argmax()
        double, smaller = target_qs[best], min(target_qs[best], online_qs[best])
        mixed = (1 - pessimism) * double + pessimism * smaller
        want.append(target_qs.max() if rule == "max" else mixed)
    assert (online.argmax(axis=1) != target.argmax(axis=1)).any()
    np.testing.assert_allclose(agent.next_value(x), want, rtol=1e-5, atol=1e-6)


def test_error_limit_clips_the_td_error():
    states = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    actions, targets = np.arange(50) % 2, np.linspace(-5, 5, 50, dtype=np.float32)
    agent = StableDQNAgent(error_limit=1.0, seed=0)
    q = agent.qnet(states).data[np.arange(50), actions]
    error = np.clip(targets - q, -1, 1)
    assert (np.abs(targets - q) > 1).any() and (np.abs(targets - q) < 1).any()
    loss = agent.get_loss(states, actions, targets)
    assert loss.data == pytest.approx((error**2).mean(), rel=1e-4)
    loss.backward()
    np.testing.assert_allclose(  # of the last layer's bias, by hand
        agent.qnet.l3.b.grad.data,
        [(-2 * error[actions == a] / 50).sum() for a in (0, 1)],
        rtol=1e-4,
        atol=1e-6,
    )


def test_network_gets_normalized_states():
    """Compare with the same weights on states that were scaled beforehand."""
    plain = StableDQNAgent(target_rule="double", epsilon=0, seed=0)
    agent = StableDQNAgent(target_rule="double", epsilon=0, normalize=True, seed=0)
    rng = np.random.default_rng(1)
    states = (rng.standard_normal((60, 4)) * [9, 1, 0.1, 3] + 5).astype(np.float32)
    for state in states[:31]:  # no learning yet
        agent.update(state, 0, 1.0, -state, False)
    seen = states[:31]
    scaled = (states - seen.mean(axis=0)) / seen.std(axis=0)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(agent.scaled(states), scaled, **close)
    scaled = agent.scaled(states)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(
        agent.next_value(states), plain.next_value(scaled), **close
    )
    actions, targets = np.zeros(60, int), np.zeros(60, np.float32)
    loss, wanted = (
        a.get_loss(x, actions, targets).data
        for a, x in ((agent, states), (plain, scaled))
    )
    assert loss == pytest.approx(wanted, rel=1e-4)
    for state, x in zip(states, scaled):
        assert agent.get_action(state) == plain.get_action(x)
        assert agent.greedy_action(state) == plain.greedy_action(x)
    np.testing.assert_allclose(
        agent.action_values(states), plain.qnet.predict(scaled), **close
    )


def test_refused_state_leaves_the_scale_unchanged():
    agent = StableDQNAgent(normalize=True, seed=0)
    state = np.ones(4, np.float32)
    with pytest.raises(ValueError, match="next_state"):
        agent.update(state, 0, 1.0, state * np.nan, False)
    assert agent.scale.count == 0


def test_learning_start_delays_the_first_update():
    agent = StableDQNAgent(learning_start=10, batch_size=4, seed=0)
    s = np.ones(4, np.float32)
    losses = [agent.update(s, 0, 1.0, s, False) for _ in range(12)]
    assert [loss is None for loss in losses] == [True] * 9 + [False] * 3


def test_schedules_set_lr_epsilon_and_pessimism():
    agent = StableDQNAgent(
        target_rule="double",
        schedules={
            "pessimism": LinearSchedule(0.0, 0.4, 4),
            "lr": LinearSchedule(0.4, 0.0, 4),
            "epsilon": LinearSchedule(1.0, 0.5, 2),
        },
        seed=0,
    )
    s, seen = np.ones(4, np.float32), []
    for _ in range(6):
        seen.append((agent.lr, agent.optimizer.alpha, agent.epsilon, agent.pessimism))
        agent.update(s, 0, 1.0, s, False)
    rates, shares = [0.4, 0.3, 0.2, 0.1, 0.0, 0.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.4]
    np.testing.assert_allclose(
        seen,
        np.transpose([rates, rates, [1.0, 0.75, 0.5, 0.5, 0.5, 0.5], shares]),
        atol=1e-12,
    )


def test_defaults_learn_like_dqn_agent():
    agent, plain = StableDQNAgent(seed=0), DQNAgent(seed=0)
    for a in (agent, plain):
        fill(a, 60)
    assert same(agent.qnet, plain.qnet) and same(agent.qnet_target, plain.qnet_target)


def test_values_without_a_schedule_stay():
    agent = StableDQNAgent(seed=0)
    agent.epsilon = 0.0
    fill(agent, 40)
    assert (agent.lr, agent.epsilon) == (0.0005, 0.0)


def test_average_is_the_mean_of_weights_from_its_start():
    agent = StableDQNAgent(batch_size=4, average_start=6, seed=0)
    seen = []
    for k in range(12):
        fill(agent, 1, seed=k)
        if agent.replay_buffer.num_added >= 6:
            seen.append(copies(agent.qnet))
        assert (agent.qnet_average is None) == (agent.replay_buffer.num_added < 6)
    for k, average in enumerate(arrays(agent.qnet_average)):
        want = np.mean([weights[k] for weights in seen], axis=0)
        np.testing.assert_allclose(average, want, rtol=1e-4, atol=1e-6)


def test_only_greedy_action_uses_the_average():
    agent = StableDQNAgent(epsilon=0, batch_size=4, average_start=4, seed=0)
    fill(agent, 8)
    for net, values in ((agent.qnet, [1, 0]), (agent.qnet_average, [0, 1])):
        net.l3.W.data[...] = 0
        net.l3.b.data[...] = values
    s = np.ones(4, np.float32)
    assert (agent.get_action(s), agent.greedy_action(s)) == (0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"tau": 1.5},
        {"average_start": 0},
        {"average_start": 2.5},
        {"tau": -0.1},
        {"target_rule": "mean"},
        {"pessimism": 0.5},
        {"pessimism": 1.5, "target_rule": "double"},
        {"learning_start": 31},
        {"learning_start": 10_001},
        {"learning_start": 64.0},
        {"normalize": 2},
        {"error_limit": 0},
        {"pessimism": 0.0, "schedules": {"pessimism": LinearSchedule(0, 1, 2)}},
        {"schedules": {"gamma": LinearSchedule(0, 1, 2)}},
        {"schedules": {"epsilon": LinearSchedule(2, 1, 2)}},
    ],
)
def test_bad_options_are_refused_with_their_name(arguments):
    name = next(iter(arguments))
    name = "epsilon" if "epsilon" in arguments.get("schedules", {}) else name
    with pytest.raises((ValueError, TypeError), match=name):
        StableDQNAgent(**arguments)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 0, 0), "steps"), ((float("nan"), 0, 1), "start"), ((1, "0", 1), "end")],
)
def test_bad_schedules_are_refused(arguments, name):
    with pytest.raises((ValueError, TypeError), match=name):
        LinearSchedule(*arguments)
