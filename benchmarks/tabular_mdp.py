"""A tabular MDP that is small enough to enumerate all its trajectories.

So expectations, which estimators sample, are exact sums here, in float64. The
policy is a softmax table. Shapes use these letters besides those of
`meta_batch`:

  S, A: The numbers of states and actions.
  H: The number of env steps in an episode.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.trajectories import time_step as ts

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib


class TabularMdp(NamedTuple):
  """An MDP with random starts and transitions, and rewards of state and action.

  Attributes:
    initial: An array [S], the probabilities of the initial states.
    transition: An array [S, A, S], the probabilities of the next states.
    reward: An array [S, A].
    horizon: H.
    discount: The return weights the reward of env step t = 0, 1, ... by
      discount ** t.
  """

  initial: np.ndarray
  transition: np.ndarray
  reward: np.ndarray
  horizon: int = 3
  discount: float = 1.0


class Episodes(NamedTuple):
  """E episodes, with any leading axes.

  Attributes:
    states: An int array [..., E, H].
    actions: An int array [..., E, H].
  """

  states: np.ndarray
  actions: np.ndarray


def three_states(horizon: int = 3, discount: float = 1.0) -> TabularMdp:
  """Returns an MDP of three states and two actions without any symmetry."""
  return TabularMdp(
    initial=np.array([0.5, 0.3, 0.2]),
    transition=np.array(
      [
        [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]],
        [[0.3, 0.3, 0.4], [0.25, 0.7, 0.05]],
        [[0.05, 0.8, 0.15], [0.45, 0.15, 0.4]],
      ]
    ),
    reward=np.array([[1.0, -0.5], [0.3, 2.0], [-1.5, 0.8]]),
    horizon=horizon,
    discount=discount,
  )


def policy_table() -> np.ndarray:
  """Returns parameters [S, A] of a stochastic policy for `three_states`."""
  return np.array([[0.4, -0.3], [-0.2, 0.5], [0.1, 0.6]])


def action_values(mdp: TabularMdp, theta) -> list[tf.Tensor]:
  """Computes Q_t by dynamic programming, backward from the last env step.

  Args:
    mdp: The MDP.
    theta: A tensor [..., S, A], differentiable.

  Returns:
    H tensors [..., S, A]: the expected discounted return from env step t on.
  """
  policy = tf.nn.softmax(theta)
  values = [tf.zeros_like(policy) + mdp.reward]
  for _ in range(mdp.horizon - 1):
    next_value = tf.reduce_sum(policy * values[0], axis=-1)
    expected = tf.einsum('san,...n->...sa', mdp.transition, next_value)
    values.insert(0, mdp.reward + mdp.discount * expected)
  return values


def expected_return(mdp: TabularMdp, theta) -> tf.Tensor:
  """Computes J by dynamic programming; theta [..., S, A] -> [...]."""
  first = tf.reduce_sum(tf.nn.softmax(theta) * action_values(mdp, theta)[0], -1)
  return tf.reduce_sum(mdp.initial * first, axis=-1)


def return_gradient(mdp: TabularMdp, theta) -> tf.Tensor:
  """Returns the differentiable gradient of J, [..., S, A] -> [..., S, A]."""
  with tf.GradientTape() as tape:
    tape.watch(theta)
    value = expected_return(mdp, theta)
  return tape.gradient(value, theta)


def adapt_exactly(
  mdp: TabularMdp, theta, num_steps: int, step_size: float
) -> list[tf.Tensor]:
  """Returns the path of the inner loop on infinitely many episodes.

      phi_{s+1} = phi_s + step_size / H * grad J(phi_s)

  The division by H is there because surrogates are means over frames.

  Args:
    mdp: The MDP.
    theta: A tensor [S, A], differentiable.
    num_steps: X.
    step_size: The inner step size.

  Returns:
    A list of tensors [S, A], phi_0 to phi_X.
  """
  path = [tf.convert_to_tensor(theta)]
  for _ in range(num_steps):
    gradient = return_gradient(mdp, path[-1])
    path.append(path[-1] + step_size / mdp.horizon * gradient)
  return path


def all_episodes(mdp: TabularMdp) -> Episodes:
  """Returns every sequence of states and actions, E = (S * A) ** H."""
  num_states, num_actions = mdp.reward.shape
  sizes = (num_states, num_actions) * mdp.horizon
  sequences = np.indices(sizes).reshape(len(sizes), -1).T
  return Episodes(states=sequences[:, ::2], actions=sequences[:, 1::2])


def sample_episodes(
  mdp: TabularMdp, theta, num_episodes: int, rng: np.random.Generator
) -> Episodes:
  """Samples E episodes of each policy; theta [B, S, A] -> leaves [B, E, H]."""
  policy = tf.nn.softmax(theta).numpy()
  rows = np.arange(len(policy))[:, np.newaxis]

  def draw(probabilities):
    uniform = rng.random([len(policy), num_episodes, 1])
    cumulative = np.cumsum(probabilities[..., :-1], axis=-1)
    return np.sum(uniform > cumulative, axis=-1)

  states, actions = [draw(mdp.initial)], []
  for _ in range(mdp.horizon):
    actions.append(draw(policy[rows, states[-1]]))
    states.append(draw(mdp.transition[states[-1], actions[-1]]))
  return Episodes(np.stack(states[:-1], axis=-1), np.stack(actions, axis=-1))


def dynamics_probability(mdp: TabularMdp, episodes: Episodes) -> np.ndarray:
  """Returns the MDP's factor of the episodes' probabilities, [..., E]."""
  states, actions = episodes
  steps = mdp.transition[states[..., :-1], actions[..., :-1], states[..., 1:]]
  return mdp.initial[states[..., 0]] * np.prod(steps, axis=-1)


def log_policy(theta, episodes: Episodes) -> np.ndarray:
  """Returns log pi(a_t|s_t); theta [..., S, A] -> [..., E, H]."""
  table = tf.nn.log_softmax(theta).numpy()
  frames = np.einsum(
    '...ehs,...sa->...eha', np.eye(table.shape[-2])[episodes.states], table
  )
  chosen = np.eye(table.shape[-1], dtype=bool)[episodes.actions]
  return np.sum(frames, axis=-1, where=chosen)


def probability(mdp: TabularMdp, theta, episodes: Episodes) -> np.ndarray:
  """Returns the episodes' probabilities; theta [..., S, A] -> [..., E]."""
  policy = np.exp(np.sum(log_policy(theta, episodes), axis=-1))
  return dynamics_probability(mdp, episodes) * policy


def advantage(
  mdp: TabularMdp, episodes: Episodes, baseline: np.ndarray | float = 0.0
) -> np.ndarray:
  """Returns the rewards from each frame on, minus a baseline.

      A_t = sum_{t' >= t} discount^t' r_t' - discount^t baseline_t(s_t)

  The exponents count from the start of the episode. With exponents t' - t, the
  sum of A_t grad log pi_t would not be the gradient of any function.

  Args:
    mdp: The MDP.
    episodes: Leaves [..., E, H].
    baseline: The expected return from t on; a number or an array [H, S].

  Returns:
    An array [..., E, H].
  """
  states, actions = episodes
  steps = np.arange(mdp.horizon)
  discounts = mdp.discount**steps
  rewards = discounts * mdp.reward[states, actions]
  to_go = np.cumsum(rewards[..., ::-1], axis=-1)[..., ::-1]
  table = np.broadcast_to(baseline, [mdp.horizon, len(mdp.initial)])
  return to_go - discounts * table[steps, states]


def stage(
  mdp: TabularMdp,
  theta,
  episodes: Episodes,
  weight: np.ndarray | float = 1.0,
  baseline: np.ndarray | float = 0.0,
) -> meta_batch.Stage:
  """Returns episodes end to end as a stage, T = E * H.

  Args:
    mdp: The MDP.
    theta: An array [..., S, A], the parameters of the behaviour policy.
    episodes: Leaves [..., E, H].
    weight: The mask's value for the frames of an episode, an array [..., E] or
      a number. With enumerated episodes it is an episode's probability.
    baseline: As in `advantage`.

  Returns:
    A `Stage`, leaves [..., T, ...], with the fields that surrogates read. The
    other fields are empty. Observations are one-hot, [..., T, S].
  """
  shape = episodes.states.shape
  first = np.arange(mdp.horizon) == 0
  step_type = np.where(first, ts.StepType.FIRST, ts.StepType.MID)
  mask = np.broadcast_to(weight, shape[:-1])[..., np.newaxis]

  def frames(values, dtype=tf.float64):
    flat = np.broadcast_to(values, shape).reshape(*shape[:-2], -1)
    return tf.constant(flat, dtype)

  unread = dict.fromkeys(meta_batch.Stage._fields, ())
  read = dict(
    observation=tf.one_hot(
      frames(episodes.states, tf.int32), len(mdp.initial), dtype=tf.float64
    ),
    step_type=frames(step_type, tf.int32),
    action=frames(episodes.actions, tf.int32),
    behaviour_log_prob=frames(log_policy(theta, episodes)),
    advantage=frames(advantage(mdp, episodes, baseline)),
    mask=frames(mask),
  )
  return meta_batch.Stage(**unread | read)


def enumerated_stage(
  mdp: TabularMdp, theta, baseline: np.ndarray | float = 0.0
) -> meta_batch.Stage:
  """Returns all episodes, weighted by their probability under theta [S, A]."""
  episodes = all_episodes(mdp)
  weight = probability(mdp, theta, episodes)
  return stage(mdp, theta, episodes, weight, baseline)


def evaluate(
  parameters: tuple[tf.Tensor], frames: meta_batch.Stage
) -> inner_loop_lib.EvaluatedStage:
  """Evaluates the softmax policy of one task: ([S, A],), [T, ...] -> [T]."""
  return inner_loop_lib.EvaluatedStage(
    frames,
    frames.behaviour,
    tfp.distributions.Categorical(frames.observation @ parameters[0]),
  )
