"""The points of a sweep and the names of their runs: a grid, or random draws.

The name of a run tells what is special about it:
`step_size=0.1,num_steps=2,seed=0`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import itertools
import math
import re
from typing import NamedTuple

import numpy as np

from maml_tf.sweeping import axes as axes_lib

# The names of files may have 255 bytes.
_LONGEST_NAME = 150
# Draws of few values repeat. After so many for each point they are exhausted.
_ATTEMPTS = 100


class Point(NamedTuple):
  """Settings that some runs have, whose seeds differ.

  Attributes:
    name: What is special about them, as a part of a file's name; '' if nothing
      is.
    settings: The values by setting, as gin files have them.
  """

  name: str
  settings: Mapping[str, str]

  @property
  def bindings(self) -> list[str]:
    """The lines of a gin file."""
    return [f'{name} = {value}' for name, value in self.settings.items()]


class PlannedRun(NamedTuple):
  """A run of a sweep.

  Attributes:
    name: The name of its folder.
    point: Its settings.
    seed: Its seed.
  """

  name: str
  point: Point
  seed: int


class Plan(NamedTuple):
  """All that a sweep trains.

  Attributes:
    gin_files: The gin files of all runs.
    gin_bindings: The settings of all runs, the lines of a gin file.
    runs: The runs.
    settings: What the files and bindings set, by name, as gin has it.
  """

  gin_files: Sequence[str]
  gin_bindings: Sequence[str]
  runs: Sequence[PlannedRun]
  settings: Mapping[str, str]


def num_combinations(axes: Sequence[axes_lib.Axis]) -> int:
  """Returns how many combinations the lists of values have."""
  return math.prod(len(axis.values) for axis in axes if not axis.range)


def grid(axes: Sequence[axes_lib.Axis]) -> list[Point]:
  """Returns all combinations of values; the last axis varies fastest.

  Raises:
    ValueError: An axis has no list of values, or two have the same setting.
  """
  _check(axes)
  for axis in axes:
    if axis.range:
      raise ValueError(
        f'{axis.setting} has a range: give --random=N to draw N times, or a'
        ' list of values'
      )
  return _points(axes, itertools.product(*(axis.values for axis in axes)))


def draws(axes: Sequence[axes_lib.Axis], num_points: int) -> list[Point]:
  """Returns points whose values are drawn at random, no two the same.

  A larger number begins with the same points.

  Args:
    axes: The axes.
    num_points: How many points.

  Raises:
    ValueError: There are not so many points.
  """
  _check(axes)
  found = {}
  most = math.prod(a.range.count if a.range else len(a.values) for a in axes)
  if num_points > most:
    raise _too_few(num_points, most)
  for index in range(_ATTEMPTS * num_points):
    rng = np.random.default_rng(index)
    values = tuple(
      axis.range.draw(rng) if axis.range else str(rng.choice(axis.values))
      for axis in axes
    )
    found[values] = None
    if len(found) == num_points:
      return _points(axes, found)
  raise _too_few(num_points, len(found))


def runs(points: Sequence[Point], seeds: Sequence[int]) -> list[PlannedRun]:
  """Returns the runs: all points with the first seed, then with the next."""
  return [
    PlannedRun(
      ','.join(filter(None, [point.name, f'seed={seed}'])), point, seed
    )
    for seed in seeds
    for point in points
  ]


def _too_few(num_points: int, num_found: float) -> ValueError:
  return ValueError(
    f'--random is {num_points}, but --set has only {num_found} combinations of'
    ' values: leave --random out to have them all'
  )


def _check(axes: Sequence[axes_lib.Axis]) -> None:
  """Raises ValueError if two axes have the same setting."""
  names = [axis.setting for axis in axes]
  for name in names:
    if names.count(name) > 1:
      raise ValueError(f'--set has {name} twice: give all values in one')


def _points(axes, combinations) -> list[Point]:
  """Returns the points of combinations of values."""
  settings = [axis.setting for axis in axes]
  labels = _shortened(settings)
  points = {}
  for values in combinations:
    parts = [f'{label}={_part(v)}' for label, v in zip(labels, values)]
    settings_of_point = dict(zip(settings, values))
    name = ','.join(parts)
    if name in points or len(name.encode()) > _LONGEST_NAME:
      digest = hashlib.sha256(repr(values).encode()).hexdigest()[:8]
      name = f'{name[: _LONGEST_NAME // 2]}-{digest}'
    points[name] = Point(name, settings_of_point)
  return list(points.values())


def _shortened(settings: Sequence[str]) -> list[str]:
  """Returns the last parts of names, with as many as tell them apart."""
  shortened = []
  for setting in settings:
    parts = re.split(r'[./]', setting)
    for count in range(1, len(parts) + 1):
      label = '.'.join(parts[-count:])
      ends = [re.split(r'[./]', other)[-count:] for other in settings]
      if ends.count(parts[-count:]) == 1:
        break
    shortened.append(label)
  return shortened


def _part(value: str) -> str:
  """Returns a value as a part of a file's name."""
  return re.sub(r'[^\w.+-]+', '_', value, flags=re.ASCII).strip('_') or '_'
