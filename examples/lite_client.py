"""A device adapts a TFLite policy to its own task, with NumPy alone.

  maml_tf export --root_dir=runs/POINT_RUN --export_dir=models --lite
  python examples/lite_client.py --model=models/model.tflite

It needs `pip install ai-edge-litert numpy`. The robot here is the point of
point.gin, whose task is a hidden goal. With --robot=cheetah and a run of
cheetah.gin it is Gymnasium's HalfCheetah, which must run backward: that needs
`pip install 'gymnasium[mujoco]'`, too. On a device the robot is the real one.

The robot explores for as many episodes as the model takes, adapts, and then
acts without noise. --state keeps the adapted state, a few KB, in a file that
the next start continues from; `maml_tf export --state` reads it, too.
"""

import argparse
import os
import sys
import time

import numpy as np

try:
  from ai_edge_litert.interpreter import Interpreter
except ImportError:  # TensorFlow has the same class.
  import tensorflow as tf

  Interpreter = tf.lite.Interpreter

FIRST, MID, LAST = 0, 1, 2
HORIZON = 100


class AdaptivePolicy:
  """A TFLite model of `maml_tf export --lite`, and the state of its task."""

  def __init__(self, path, state_path=None):
    # The functions below hold pointers into it.
    self._interpreter = Interpreter(path, num_threads=1)
    self._act, self._adapt = map(
      self._interpreter.get_signature_runner, ('act', 'adapt')
    )
    self._frame = self._adapt.get_input_details()
    self.num_frames = self._frame['step_type']['shape'][0]
    if state_path and os.path.exists(state_path):
      self.state = dict(np.load(state_path))
    else:
      self.state = self._interpreter.get_signature_runner('initial_state')()

  @property
  def noise_shape(self):
    return self._act.get_input_details()['noise']['shape']

  def act(self, observation, noise):
    """Returns the action and its distribution, by name."""
    return self._act(observation=observation, noise=noise, **self.state)

  def adapt(self, frames):
    """Takes an adaptation step on the frames of whole episodes."""
    # The last frame is LAST, which no step learns from: repeat it.
    frames = frames + frames[-1:] * (self.num_frames - len(frames))
    stacked = {
      name: np.array([f[name] for f in frames], self._frame[name]['dtype'])
      for name in frames[0]
    }
    self.state = self._adapt(**stacked, **self.state)


def play(policy, robot, noises):
  """Plays an episode; returns its frames and its return."""
  observation, frames, total = robot.reset(), [], 0.0
  for t, noise in enumerate(noises):
    frame = {'observation': observation, **policy.act(observation, noise)}
    observation, reward = robot.step(frame['action'])
    total += reward
    frame |= {
      'step_type': MID if t else FIRST,
      'next_step_type': MID if t < len(noises) - 1 else LAST,
      'reward': reward,
      'discount': 1.0,  # 0 where the task itself has ended, as by a fall.
    }
    frames.append(frame)
  # The final observation closes an episode; nothing follows it.
  end = {'observation': observation, 'step_type': LAST, 'reward': 0.0}
  return [*frames, {**frames[-1], **end}], total


class Point:
  """A point that is rewarded for being near a goal that it does not see."""

  goal = np.array([0.4, -0.3])

  def reset(self):
    self._position = np.zeros(2)
    return self._position.astype(np.float32)

  def step(self, action):
    self._position = self._position + np.clip(action, -0.1, 0.1)
    distance = np.linalg.norm(self._position - self.goal)
    return self._position.astype(np.float32), -distance


class Cheetah:
  """HalfCheetah, rewarded for running backward; simulates a robot."""

  def __init__(self):
    import gymnasium

    self._environment = gymnasium.make('HalfCheetah-v5')

  def reset(self):
    return self._environment.reset()[0].astype(np.float32)

  def step(self, action):
    observation, *_, info = self._environment.step(action)
    reward = -info['x_velocity'] - 0.05 * np.sum(np.square(action))
    return observation.astype(np.float32), reward


def measure(function, calls):
  """Returns the median time of a call, in milliseconds."""
  times = []
  for _ in range(calls):
    start = time.perf_counter()
    function()
    times.append(time.perf_counter() - start)
  return 1e3 * np.median(times)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', required=True)
  parser.add_argument('--robot', choices=('point', 'cheetah'), default='point')
  parser.add_argument('--steps', type=int, default=1, help='of adaptation')
  parser.add_argument('--state', help='an .npz file')
  parser.add_argument('--calls', type=int, default=0, help='to be timed')
  arguments = parser.parse_args()
  if arguments.steps < 1:
    sys.exit('lite_client: --steps must be at least 1')
  if arguments.state and not arguments.state.endswith('.npz'):
    sys.exit(f'lite_client: --state={arguments.state} must end in .npz')
  policy = AdaptivePolicy(arguments.model, arguments.state)
  robot = Point() if arguments.robot == 'point' else Cheetah()
  rng, episodes = np.random.default_rng(), policy.num_frames // (HORIZON + 1)
  if not episodes:
    sys.exit(
      f'lite_client: the model adapts to {policy.num_frames} frames, and an'
      f' episode here has {HORIZON + 1}: export with --horizon={HORIZON}'
    )
  still = np.zeros((HORIZON, *policy.noise_shape), np.float32)
  _, total = play(policy, robot, still)
  print(f'return {total:.1f} before adaptation')
  for step in range(arguments.steps):
    frames = []
    for _ in range(episodes):
      noises = rng.standard_normal(still.shape, np.float32)
      frames += play(policy, robot, noises)[0]
    policy.adapt(frames)
    _, total = play(policy, robot, still)
    print(f'return {total:.1f} after step {step + 1} on {episodes} episodes')
  if arguments.state:
    np.savez(arguments.state, **policy.state)
  if arguments.calls:
    state, observation = policy.state, robot.reset()
    act = measure(lambda: policy.act(observation, still[0]), arguments.calls)
    adapt = measure(lambda: policy.adapt(frames), arguments.calls)
    policy.state = state
    print(f'act {act:.2f} ms, adapt {adapt:.1f} ms, one thread')


if __name__ == '__main__':
  main()
