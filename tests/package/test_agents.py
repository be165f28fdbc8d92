"""The agents against the algorithms written out in NumPy, one line an equation."""

import copy

import numpy as np
import pytest

from rlbook_helpers import DQNAgent, QLearningAgent, one_hot


def weights(net):
    return [getattr(net, name) for name in ("l1", "l2", "l3") if hasattr(net, name)]


def arrays(net):
    return [a for layer in weights(net) for a in (layer.W.data, layer.b.data)]


def forward(params, x):
    """Values of all layers, the input first."""
    hs = [x]
    for k in range(0, len(params), 2):
        h = hs[-1] @ params[k] + params[k + 1]
        hs.append(np.maximum(h, 0) if k < len(params) - 2 else h)
    return hs


def gradient(params, x, action, target):
    """Loss and gradients of mean((Q(x)[action] - target)**2)."""
    hs = forward(params, x)
    n = len(action)
    error = hs[-1][np.arange(n), action] - target
    g = np.zeros_like(hs[-1])
    g[np.arange(n), action] = 2 * error / n
    grads = []
    for k in range(len(params) - 2, -1, -2):
        grads = [hs[k // 2].T @ g, g.sum(axis=0), *grads]
        g = (g @ params[k].T) * (hs[k // 2] > 0)
    return (error**2).mean(), grads


def fill(agent, count, seed=0):
    """Transitions with varied rewards, a third of them terminal."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        s, n = rng.standard_normal((2, 4)).astype(np.float32)
        agent.update(
            s,
            int(rng.integers(2)),
            float(rng.standard_normal()),
            n,
            bool(rng.random() < 1 / 3),
        )


class TestDQNAgent:
    def test_defaults_are_those_of_the_original(self):
        agent = DQNAgent()
        assert (agent.gamma, agent.lr, agent.epsilon) == (0.98, 0.0005, 0.1)
        assert (agent.buffer_size, agent.batch_size, agent.action_size) == (
            10_000,
            32,
            2,
        )
        assert (
            type(agent.optimizer).__name__ == "Adam" and agent.optimizer.alpha == 0.0005
        )
        assert agent.optimizer.target is agent.qnet

    def test_an_update_is_the_published_algorithm(self):
        """Target from the target network, masked by done, no gradient into it, one step of Adam."""
        agent = DQNAgent(seed=0)
        fill(agent, 200)
        for a in arrays(agent.qnet_target):  # make the two networks clearly different
            a += (
                np.random.default_rng(5).standard_normal(a.shape).astype(np.float32)
                * 0.1
            )
        online = [a.astype(np.float64) for a in arrays(agent.qnet)]
        target_net = [a.astype(np.float64) for a in arrays(agent.qnet_target)]
        optimizer = copy.deepcopy(agent.optimizer)
        twin = copy.deepcopy(agent)  # draws the batch that agent is going to draw
        s, n = np.ones((2, 4), dtype=np.float32)
        twin.replay_buffer.add(s, 1, 0.5, n, True)
        state, action, reward, next_state, done = twin.replay_buffer.get_batch()
        assert 0 < done.sum() < len(done)

        loss = agent.update(s, 1, 0.5, n, True)

        y = reward + (1 - done) * 0.98 * forward(target_net, next_state)[-1].max(axis=1)
        want_loss, grads = gradient(online, state, action, y)
        assert loss == pytest.approx(want_loss, rel=1e-5)
        t = optimizer.t + 1
        lr = 0.0005 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        start = {
            id(p): k
            for p, k in zip(
                optimizer.params,
                np.cumsum([0] + [p.data.size for p in optimizer.params]),
            )
        }
        layers = weights(optimizer.target)
        old = [p for layer in layers for p in (layer.W, layer.b)]
        for now, before, g, p in zip(arrays(agent.qnet), online, grads, old):
            part = slice(start[id(p)], start[id(p)] + p.data.size)
            # the optimizer keeps m / (1 - beta1) and v / (1 - beta2)
            m = 0.1 * (0.9 * optimizer.m[part].reshape(g.shape) + g)
            v = 0.001 * (0.999 * optimizer.v[part].reshape(g.shape) + g**2)
            np.testing.assert_allclose(
                now, before - lr * m / (np.sqrt(v) + 1e-8), rtol=1e-4, atol=2e-6
            )
        for now, before in zip(arrays(agent.qnet_target), target_net):
            np.testing.assert_array_equal(
                now, before
            )  # learning never touches the target network

    def test_no_gradient_flows_into_the_target(self):
        """The loss depends on qnet alone; the target network never gets a gradient."""
        agent = DQNAgent(seed=0)
        for _ in range(2):
            fill(agent, 40)
            assert all(p.grad is not None for p in agent.qnet.params())
            assert all(p.grad is None for p in agent.qnet_target.params())
            agent.sync_qnet()

    def test_hyperparameters_are_used(self):
        agent = DQNAgent(gamma=0.5, lr=0.25, seed=0)
        assert agent.gamma == 0.5 and agent.optimizer.alpha == 0.25

    def test_setting_lr_changes_the_next_update(self):
        agent, twin = DQNAgent(seed=0), DQNAgent(lr=0.25, seed=0)
        agent.lr = 0.25
        assert agent.lr == 0.25
        for a in (agent, twin):
            fill(a, 40)
        for a, b in zip(arrays(agent.qnet), arrays(twin.qnet)):
            np.testing.assert_array_equal(a, b)
        with pytest.raises(ValueError, match="lr は"):
            agent.lr = -1
        assert agent.lr == 0.25

    def test_sizes_are_those_of_the_buffer(self):
        agent = DQNAgent(buffer_size=50, batch_size=4)
        assert (agent.buffer_size, agent.batch_size) == (50, 4)
        with pytest.raises(AttributeError):
            agent.batch_size = 8

    def test_steps_are_counted(self):
        agent = DQNAgent(buffer_size=40, seed=0)
        fill(agent, 60)
        assert agent.num_steps == 60

    def test_the_target_network_holds_weights_alone(self):
        agent = DQNAgent(seed=0)
        fill(agent, 40)
        agent.sync_qnet()
        for p in agent.qnet_target.params():
            assert (
                p.grad is None and vars(p).keys() == vars(DQNAgent().qnet.l1.W).keys()
            )

    def test_the_caller_s_arrays_are_left_alone(self):
        agent = DQNAgent(batch_size=1, seed=0)
        s, n = np.ones(4, np.float32), np.full(4, 2, np.float32)
        agent.update(s, 0, 1.0, n, False)
        assert (s == 1).all() and (n == 2).all()

    def test_a_copy_learns_like_the_original(self):
        agent = DQNAgent(seed=0)
        fill(agent, 50)
        twin = copy.deepcopy(agent)
        fill(agent, 20, seed=1)
        fill(twin, 20, seed=1)
        for a, b in zip(arrays(agent.qnet), arrays(twin.qnet)):
            np.testing.assert_array_equal(a, b)

    def test_learning_goes_on_after_loading_weights(self, tmp_path):
        agent = DQNAgent(seed=0)
        agent.qnet.save_weights(tmp_path / "w.npz")
        fill(agent, 40)
        agent.qnet.load_weights(tmp_path / "w.npz")
        before = [a.copy() for a in arrays(agent.qnet)]
        fill(agent, 1, seed=1)
        assert not any(np.array_equal(a, b) for a, b in zip(arrays(agent.qnet), before))

    def test_learning_starts_with_the_first_full_batch(self):
        agent = DQNAgent(batch_size=4, seed=0)
        s = np.zeros(4, dtype=np.float32)
        losses = [agent.update(s, 0, 1.0, s, False) for _ in range(6)]
        assert [loss is None for loss in losses] == [
            True,
            True,
            True,
            False,
            False,
            False,
        ]
        assert all(isinstance(loss, float) for loss in losses[3:])

    def test_sync_copies_the_weights_and_keeps_the_networks_apart(self):
        agent = DQNAgent(seed=0)
        for a, b in zip(arrays(agent.qnet), arrays(agent.qnet_target)):
            np.testing.assert_array_equal(a, b)  # both start from the same weights
        fill(agent, 60)
        assert not np.array_equal(agent.qnet.l1.W.data, agent.qnet_target.l1.W.data)
        agent.sync_qnet()
        for a, b in zip(arrays(agent.qnet), arrays(agent.qnet_target)):
            np.testing.assert_array_equal(a, b)
            assert not np.shares_memory(a, b)
        kept = [a.copy() for a in arrays(agent.qnet_target)]
        fill(agent, 1, seed=1)
        for a, b in zip(arrays(agent.qnet_target), kept):
            np.testing.assert_array_equal(a, b)

    def test_epsilon_is_the_probability_of_a_random_action(self):
        agent = DQNAgent(epsilon=0.1, seed=0)
        s = np.ones(4, dtype=np.float32)
        other = 1 - agent.greedy_action(s)
        share = np.mean([agent.get_action(s) == other for _ in range(4000)])
        assert share == pytest.approx(
            0.05, abs=0.02
        )  # a random action is the greedy one half of the time
        agent.epsilon = 0
        assert all(agent.get_action(s) != other for _ in range(200))
        agent.epsilon = 1
        assert np.mean(
            [agent.get_action(s) == other for _ in range(2000)]
        ) == pytest.approx(0.5, abs=0.05)

    def test_greedy_action_has_the_largest_value(self):
        agent = DQNAgent(action_size=3, seed=0)
        for a in arrays(agent.qnet_target):
            a[...] = 0  # acting is not the target network's business
        for s in np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32):
            assert (
                agent.greedy_action(s)
                == forward(arrays(agent.qnet), s[None])[-1].argmax()
            )

    def test_it_learns_the_values_of_a_chain(self):
        """s0 -> s1 -> end with rewards 1 and 2: Q = 1 + 0.5 * 2 and 2."""
        agent = DQNAgent(
            gamma=0.5, lr=0.005, batch_size=8, action_size=1, state_size=2, seed=0
        )
        s0, s1 = np.eye(2, dtype=np.float32)
        for k in range(400):
            agent.update(s0, 0, 1.0, s1, False)
            agent.update(s1, 0, 2.0, s1, True)
            if k % 20 == 0:
                agent.sync_qnet()
        values = agent.qnet(np.stack([s0, s1])).data[:, 0]
        np.testing.assert_allclose(values, [2.0, 2.0], atol=0.05)

    @pytest.mark.parametrize("steps", [5, 100])
    def test_same_seed_same_run(self, steps):
        def run(seed):
            agent = DQNAgent(seed=seed)
            fill(agent, steps)
            return [a.copy() for a in arrays(agent.qnet)], [
                agent.get_action(np.ones(4)) for _ in range(20)
            ]

        before = np.random.get_state()[1].copy()
        (a, actions_a), (b, actions_b), (c, _) = (
            run(1),
            run(np.random.default_rng(1)),
            run(2),
        )
        assert (
            all(np.array_equal(x, y) for x, y in zip(a, b)) and actions_a == actions_b
        )
        assert not np.array_equal(a[0], c[0])
        assert (np.random.get_state()[1] == before).all()

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"gamma": 1.1}, "gamma"),
            ({"gamma": float("nan")}, "gamma"),
            ({"lr": 0}, "lr"),
            ({"lr": "fast"}, "lr"),
            ({"epsilon": -0.1}, "epsilon"),
            ({"epsilon": 2}, "epsilon"),
            ({"buffer_size": 0}, "buffer_size"),
            ({"batch_size": 0}, "batch_size"),
            ({"batch_size": 11, "buffer_size": 10}, "batch_size"),
            ({"action_size": 0}, "action_size"),
            ({"state_size": 1.5}, "state_size"),
            ({"seed": -1}, "seed"),
        ],
    )
    def test_bad_hyperparameters_are_refused(self, arguments, name):
        with pytest.raises((ValueError, TypeError), match=name):
            DQNAgent(**arguments)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"state": np.zeros(3)}, ValueError),
            ({"state": np.full(4, np.nan)}, ValueError),
            ({"state": "abcd"}, TypeError),
            ({"action": 2}, ValueError),
            ({"action": -1}, ValueError),
            ({"action": 0.0}, TypeError),
            ({"reward": float("nan")}, ValueError),
            ({"reward": None}, TypeError),
            ({"next_state": np.zeros((1, 4))}, ValueError),
            ({"done": 3}, ValueError),
            ({"done": None}, TypeError),
        ],
    )
    def test_a_bad_transition_is_refused_and_the_agent_stays_usable(
        self, change, error
    ):
        agent = DQNAgent(batch_size=2, seed=0)
        good = {
            "state": np.zeros(4),
            "action": 0,
            "reward": 1.0,
            "next_state": np.ones(4),
            "done": False,
        }
        agent.update(**good)
        before = [a.copy() for a in arrays(agent.qnet)]
        with pytest.raises(error, match=next(iter(change))):
            agent.update(**{**good, **change})
        assert len(agent.replay_buffer) == 1
        for a, b in zip(arrays(agent.qnet), before):
            np.testing.assert_array_equal(a, b)
        assert isinstance(agent.update(**good), float)

    @pytest.mark.parametrize(
        "state", [np.zeros(3), np.zeros((1, 4)), np.full(4, np.nan), None]
    )
    def test_a_bad_state_is_refused(self, state):
        for epsilon in (0, 1):
            with pytest.raises((ValueError, TypeError), match="state"):
                DQNAgent(epsilon=epsilon).get_action(state)


class TestQLearningAgent:
    def test_defaults_are_those_of_the_original(self):
        agent = QLearningAgent()
        assert (agent.gamma, agent.lr, agent.epsilon, agent.action_size) == (
            0.9,
            0.01,
            0.1,
            4,
        )
        assert agent.qnet.l1.W.shape == (12, 100)

    @pytest.mark.parametrize("done", [False, True])
    def test_an_update_is_one_gradient_step_on_the_squared_td_error(self, done):
        agent = QLearningAgent(seed=0)
        params = [a.astype(np.float64) for a in arrays(agent.qnet)]
        s, n = one_hot((2, 0)), one_hot((1, 0))
        y = 0.5 + (0 if done else 0.9 * forward(params, n)[-1].max())
        want_loss, grads = gradient(params, s, np.array([2]), np.array([y]))
        loss = agent.update(s, 2, 0.5, n, done)
        assert loss == pytest.approx(want_loss, rel=1e-5)
        for now, before, g in zip(arrays(agent.qnet), params, grads):
            np.testing.assert_allclose(now, before - 0.01 * g, rtol=1e-5, atol=1e-7)

    def test_epsilon_is_the_probability_of_a_random_action(self):
        agent = QLearningAgent(epsilon=0.2, seed=0)
        s = one_hot((0, 0))
        share = np.mean(
            [agent.get_action(s) != agent.greedy_action(s) for _ in range(3000)]
        )
        assert share == pytest.approx(0.15, abs=0.03)

    def test_bad_input_is_refused_and_the_agent_stays_usable(self):
        agent = QLearningAgent(seed=0)
        s = one_hot((0, 0))
        for change in (
            {"state": s[0]},
            {"action": 4},
            {"reward": float("nan")},
            {"next_state": s * np.nan},
            {"done": 7},
        ):
            good = {
                "state": s,
                "action": 0,
                "reward": 0.0,
                "next_state": s,
                "done": False,
            }
            before = [a.copy() for a in arrays(agent.qnet)]
            with pytest.raises(ValueError, match=next(iter(change))):
                agent.update(**{**good, **change})
            for a, b in zip(arrays(agent.qnet), before):
                np.testing.assert_array_equal(a, b)
            agent.update(**good)

    def test_hyperparameters_are_used(self):
        agent = QLearningAgent(gamma=0.5, lr=0.1, action_size=2, seed=0)
        s, n = one_hot((2, 0)), one_hot((1, 0))
        for _ in range(2):  # the second update starts from cleared gradients
            params = [a.astype(np.float64) for a in arrays(agent.qnet)]
            y = -3 + 0.5 * forward(params, n)[-1].max()
            _, grads = gradient(params, s, np.array([1]), np.array([y]))
            agent.update(s, 1, -3.0, n, False)
            for now, before, g in zip(arrays(agent.qnet), params, grads):
                np.testing.assert_allclose(now, before - 0.1 * g, rtol=1e-4, atol=1e-6)

    def test_greedy_action_has_the_largest_value_and_every_action_is_tried(self):
        agent = QLearningAgent(seed=0)
        for y in range(3):
            s = one_hot((y, y))
            assert agent.greedy_action(s) == agent.qnet(s).data.argmax()
            with pytest.raises(ValueError, match="state_vec"):
                agent.greedy_action(s * np.nan)
        agent.epsilon = 1
        assert {agent.get_action(s) for _ in range(100)} == {0, 1, 2, 3}
        with pytest.raises(TypeError, match="state_vec"):
            agent.get_action("x")  # also when it explores

    def test_setting_lr_changes_the_next_update(self):
        agent = QLearningAgent(seed=0)
        agent.lr = 0.5
        assert agent.lr == agent.optimizer.lr == 0.5

    def test_same_seed_same_run(self):
        def run(seed):
            agent = QLearningAgent(seed=seed, epsilon=0.5)
            actions = [agent.get_action(one_hot((0, 0))) for _ in range(30)]
            return agent.qnet.l1.W.data, actions

        (a, actions_a), (b, actions_b), (c, actions_c) = run(1), run(1), run(2)
        assert np.array_equal(a, b) and actions_a == actions_b
        assert not np.array_equal(a, c) and actions_a != actions_c
