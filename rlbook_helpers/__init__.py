"""『DeZero で作る DQN』の各章が読みこむ部品。

二つの翼 ``rlbook_helpers.clinic`` と ``rlbook_helpers.experiments`` は、この部品の上に建っています。
"""

from rlbook_helpers.networks import Linear, QNet1, QNet2, one_hot
from rlbook_helpers.replay_buffer import ReplayBuffer
from rlbook_helpers.agents import DQNAgent, QLearningAgent
from rlbook_helpers.training import TrainingRecord, evaluate, record_frames
from rlbook_helpers.training import train, train_episode
from rlbook_helpers.display import define_area, plot_action_values, plot_frames
from rlbook_helpers.display import setup_display, show_source, side_by_side, video
