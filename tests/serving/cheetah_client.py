"""A served model controls HalfCheetah; run as a program.

  python cheetah_client.py MODEL NUM_TASKS EPISODES HORIZON SEED OUT.npy

The environment and the random streams are the run's. The model acts and adapts.
OUT receives the returns, [2, B, E]: before and after a step.
"""

import sys

import numpy as np
import tensorflow as tf

from maml_tf.core import random_streams
from maml_tf.environments import locomotion


def _streams(seed, stage, num_tasks, purpose):
  return [
    random_streams.key(seed, 0, stage, task, purpose)
    for task in range(num_tasks)
  ]


def _noise(seed, stage, num_tasks, shape):
  keys = _streams(seed, stage, num_tasks, random_streams.Purpose.ACTION)
  return np.concatenate(
    [
      random_streams.generator(key).standard_normal(shape, dtype=np.float32)
      for key in keys
    ],
    axis=1,
  )


def _episodes(environment, act, state, noise):
  """Frames of one episode in each environment, by name: [N, T, ...]."""
  time_step, frames = environment.reset(), []
  for draw in [*noise, np.zeros_like(noise[0])]:
    answer = act(observation=tf.constant(time_step.observation), **state)
    answer = {name: tensor.numpy() for name, tensor in answer.items()}
    # The model can sample by itself; here the client adds the run's noise.
    action = answer['policy_info_0_loc'] + (
      answer['policy_info_0_scale_diag'] * draw
    )
    is_last = time_step.is_last().all()
    following = time_step if is_last else environment.step(action)
    frames.append(
      {
        'step_type': time_step.step_type,
        'observation': time_step.observation,
        'action': action,
        'policy_info_0_loc': answer['policy_info_0_loc'],
        'policy_info_0_scale_diag': answer['policy_info_0_scale_diag'],
        'next_step_type': following.step_type,
        'reward': following.reward * (not is_last),
        'discount': following.discount,
      }
    )
    time_step = following
  return {
    name: np.stack([frame[name] for frame in frames], axis=1)
    for name in frames[0]
  }


def main(model_dir, num_tasks, episodes, horizon, seed, out):
  model = tf.saved_model.load(model_dir)
  environment = locomotion.HalfCheetahDirection(
    num_tasks, environments_per_task=episodes, horizon=horizon
  )
  keys = _streams(seed, 0, num_tasks, random_streams.Purpose.TASK)
  environment.set_tasks(
    np.concatenate(
      [
        environment.sample_tasks(1, random_streams.generator(key))
        for key in keys
      ]
    )
  )
  state = model.signatures['initial_state'](batch_size=tf.constant(num_tasks))
  returns = []
  for stage in range(2):
    environment.seed(
      _streams(seed, stage, num_tasks, random_streams.Purpose.RESET)
    )
    noise = _noise(seed, stage, num_tasks, (horizon, episodes, 6))
    frames = _episodes(
      environment, model.signatures['act_adapted'], state, noise
    )
    returns.append(frames['reward'].sum(1).reshape(num_tasks, episodes))
    frames = {name: tf.constant(array) for name, array in frames.items()}
    state = model.signatures['adapt'](**frames, **state)
  np.save(out, np.stack(returns))


if __name__ == '__main__':
  directory, *numbers, path = sys.argv[1:]
  main(directory, *map(int, numbers), path)
