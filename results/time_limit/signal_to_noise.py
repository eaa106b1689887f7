"""The noise of the policy gradient, with and without a value behind the limit.

  python results/time_limit/signal_to_noise.py

On point navigation with the untrained policy: independent stages of 20 episodes
of 100 steps, one goal.
"""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import trajectory

import maml_tf  # noqa: F401  Quiets the imports.
from maml_tf.learning import advantages
from maml_tf.learning import baselines

_HORIZON, _EPISODES, _STAGES = 100, 20, 200
_GOAL = np.array([0.4, 0.3])
_STEP_TYPE = np.tile([0] + [1] * (_HORIZON - 1) + [2], _EPISODES)[np.newaxis]
_NEXT_STEP_TYPE = np.tile([1] * (_HORIZON - 1) + [2, 0], _EPISODES)[np.newaxis]


def _stage(rng):
  """Observations [E, H + 1, 2], noise [E, H, 2], and rewards [E, H + 1]."""
  observation = np.zeros((_EPISODES, _HORIZON + 1, 2))
  reward = np.zeros((_EPISODES, _HORIZON + 1))
  noise = rng.normal(size=(_EPISODES, _HORIZON, 2))
  for t in range(_HORIZON):
    move = np.clip(0.1 * noise[:, t], -0.1, 0.1)
    observation[:, t + 1] = observation[:, t] + move
    reward[:, t] = -np.linalg.norm(observation[:, t + 1] - _GOAL, axis=1)
  return observation, noise, reward


@tf.function
def _advantages(observation, reward, gae_lambda):
  experience = trajectory.Trajectory(
    step_type=tf.constant(_STEP_TYPE, tf.int32),
    observation=observation,
    action=(),
    policy_info=(),
    next_step_type=tf.constant(_NEXT_STEP_TYPE, tf.int32),
    reward=reward,
    discount=tf.ones_like(reward),
  )
  return [
    advantages.estimate(
      experience,
      baselines.LinearFeatureBaseline(zero_at_end=zero_at_end),
      0.99,
      gae_lambda,
    ).advantage
    for zero_at_end in (False, True)
  ]


def main() -> None:
  """Prints the ratios."""
  rng = np.random.default_rng(0)
  for gae_lambda in (1.0, 0.9):
    gradients = ([], [])
    for _ in range(_STAGES):
      observation, noise, reward = _stage(rng)
      estimates = _advantages(
        tf.constant(observation.reshape(1, -1, 2)),
        tf.constant(reward.reshape(1, -1)),
        tf.constant(gae_lambda, tf.float64),
      )
      for gradient, estimate in zip(gradients, estimates):
        estimate = estimate.numpy().reshape(_EPISODES, -1)[:, :_HORIZON]
        # d log N(a; mean, 0.1) / d mean = noise / 0.1.
        score = noise / 0.1 * estimate[..., np.newaxis]
        gradient.append(score.mean((0, 1)))
    ratios = [
      np.linalg.norm(np.mean(g, 0)) / np.sqrt(np.var(g, 0).sum())
      for g in gradients
    ]
    print(
      f'lambda {gae_lambda}: signal / noise {ratios[0]:.2f} with the value of'
      f' the fit, {ratios[1]:.2f} with 0'
    )


if __name__ == '__main__':
  main()
