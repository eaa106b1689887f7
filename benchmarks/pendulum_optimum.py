"""Computes the best possible returns of PendulumMass by value iteration.

  python benchmarks/pendulum_optimum.py

For each of some masses it solves the 200 steps of an episode backwards, on a
grid of angles and velocities with linear interpolation. Then it plays episodes,
as the environment does, with three kinds of policy:

  known mass    The optimum for the mass that is played. An oracle.
  all masses    The torque that is best on average over all masses. It neither
                knows the mass nor adapts.
  1.25 kg       The optimum for the mean mass, also where the mass is another.

The difference of the first two is what adaptation to the mass can gain. The
last line is JSON.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import json

import numpy as np
from scipy import ndimage

from maml_tf.environments import classic_control

_MAX_SPEED = 8.0
_LOWEST, _HIGHEST = 0.5, 2.0


class Solution:
  """The values of one mass, for every number of remaining steps."""

  def __init__(self, mass: float, horizon: int, size: int, num_torques: int):
    """Runs value iteration.

    Args:
      mass: The mass, kg.
      horizon: H, the number of steps of an episode.
      size: The number of angles, and of velocities, of the grid.
      num_torques: The number of torques to choose from.
    """
    self._mass = mass
    self._size = size
    angles = np.linspace(-np.pi, np.pi, size)
    velocities = np.linspace(-_MAX_SPEED, _MAX_SPEED, size)
    states = np.stack(np.meshgrid(angles, velocities, indexing='ij'), axis=-1)
    states = states.reshape(-1, 2)
    # All torques in all states, [num_torques * size^2].
    torque = np.repeat(torques(num_torques), len(states))
    following, reward = self._advance(np.tile(states, (num_torques, 1)), torque)
    coordinates = self._coordinates(following)
    values = [np.zeros((size, size))]
    for _ in range(horizon):
      total = reward + _interpolate(values[-1], coordinates)
      values.append(total.reshape(num_torques, size, size).max(axis=0))
    self._values = values

  def total(
    self, state: np.ndarray, torque: float, remaining: int
  ) -> np.ndarray:
    """Returns the best return after a torque, float64 [K].

    Args:
      state: States, a float64 array [K, 2].
      torque: The torque of this step.
      remaining: The number of steps that remain, this one included.
    """
    following, reward = self._advance(state, np.full(len(state), torque))
    value = self._values[remaining - 1]
    return reward + _interpolate(value, self._coordinates(following))

  def _advance(self, state, torque):
    mass = np.full(len(state), self._mass)
    return classic_control.advance_pendulum(state, torque, mass)

  def _coordinates(self, state):
    """Returns the places of states in the grid, float64 [2, K]."""
    angle, velocity = state.T
    turns = (angle + np.pi) % (2 * np.pi) / (2 * np.pi)
    speeds = (velocity + _MAX_SPEED) / (2 * _MAX_SPEED)
    return (self._size - 1) * np.stack([turns, speeds])


def torques(num: int) -> np.ndarray:
  """Returns torques from -2 to 2 N m, a float64 array [num]."""
  return np.linspace(-2, 2, num)


def play(
  solutions: Sequence[Solution],
  mass: float,
  horizon: int,
  num_episodes: int,
  num_torques: int,
) -> np.ndarray:
  """Plays episodes with the torque that is best on average over solutions.

  Args:
    solutions: Those whose totals are averaged.
    mass: The mass that is played, kg.
    horizon: The number of steps.
    num_episodes: K. Episode k starts alike for all masses and policies.
    num_torques: The number of torques to choose from.

  Returns:
    The returns, a float64 array [K].
  """
  rng = np.random.default_rng(0)
  state = rng.uniform(-1, 1, (num_episodes, 2)) * [np.pi, 1.0]
  choices = torques(num_torques)
  returns = np.zeros(num_episodes)
  for step in range(horizon):
    totals = [
      sum(s.total(state, torque, horizon - step) for s in solutions)
      for torque in choices
    ]
    state, reward = classic_control.advance_pendulum(
      state, choices[np.argmax(totals, axis=0)], np.full(num_episodes, mass)
    )
    returns += reward
  return returns


def main(argv: Sequence[str] | None = None) -> None:
  """Computes and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default in (
    ('masses', 6),
    ('episodes', 400),
    ('horizon', 200),
    ('grid', 161),
    ('torques', 21),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args(argv)

  def solve(mass):
    return Solution(mass, flags.horizon, flags.grid, flags.torques)

  # The middles of equal parts of [0.5, 2].
  places = (np.arange(flags.masses) + 0.5) / flags.masses
  masses = _LOWEST + (_HIGHEST - _LOWEST) * places
  solutions = [solve(mass) for mass in masses]
  middle = solve((_LOWEST + _HIGHEST) / 2)
  rows = []
  print('   mass  known mass  all masses   1.25 kg')
  for mass, solution in zip(masses, solutions):
    returns = [
      play(chosen, mass, flags.horizon, flags.episodes, flags.torques).mean()
      for chosen in ([solution], solutions, [middle])
    ]
    rows.append(returns)
    _print_row(f'{mass:7.3f}', returns)
  means = np.mean(rows, axis=0)
  _print_row('   mean', means)
  names = ('known_mass', 'all_masses', 'mean_mass')
  print(json.dumps({name: round(x, 1) for name, x in zip(names, means)}))


def _print_row(name, returns):
  known, blind, middle = returns
  print(f'{name}  {known:10.1f}  {blind:10.1f}{middle:10.1f}', flush=True)


def _interpolate(values, coordinates):
  return ndimage.map_coordinates(values, coordinates, order=1, mode='nearest')


if __name__ == '__main__':
  main()
