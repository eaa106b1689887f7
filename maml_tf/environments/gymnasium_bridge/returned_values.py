"""Checks that what an environment returns is what Gymnasium's API promises.

The module needs only NumPy and Gymnasium, so that processes without TensorFlow
can use it.
"""

from collections.abc import Mapping
import inspect
import math
import pathlib
from typing import Any
from typing import NamedTuple
import warnings

import gymnasium
from gymnasium import spaces
import numpy as np

# Spaces of integers.
INTEGERS = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_VALUES = {
  'reset': ('observation', 'info'),
  'step': ('observation', 'reward', 'terminated', 'truncated', 'info'),
}
# Code of Gymnasium that unpacks what an environment returned.
_UNPACKING = tuple(
  str(pathlib.Path(gymnasium.__file__).parent / folder)
  for folder in ('wrappers', 'vector')
)
# As in `core.plain_texts`, which belongs to a package that needs TensorFlow.
_PLAIN: Any = None if np.__version__.startswith('1.') else '1.25'
# Messages must stay readable if a space has many bounds.
_MAX_LENGTH = 100


class Interface(NamedTuple):
  """What an environment promises to return.

  Attributes:
    name: The class of the unwrapped environment, for messages.
    observation_space: The space of one environment.
    batch_shape: `(N,)` for a vector environment of N rows, `()` otherwise.
  """

  name: str
  observation_space: spaces.Space
  batch_shape: tuple[int, ...] = ()


Environment = gymnasium.Env | gymnasium.vector.VectorEnv | Interface


def interface_of(environment: Environment) -> Interface:
  """Returns an environment's interface, and checks its spaces and `reset`.

  Raises:
    ValueError: If the environment lacks a space of Gymnasium, or its `reset`
      takes no seed.
  """
  if isinstance(environment, Interface):
    return environment
  is_vector = isinstance(environment, gymnasium.vector.VectorEnv)
  name = class_name(environment)
  prefix = 'single_' if is_vector else ''
  for kind in (f'{prefix}observation_space', f'{prefix}action_space'):
    space = getattr(environment, kind, None)
    if space is None:
      raise ValueError(f'{name} has no {kind}: set it in its __init__')
    if not isinstance(space, spaces.Space):
      space_class = f'{type(space).__module__}.{type(space).__qualname__}'
      raise ValueError(
        f'the {kind} of {name} is of {space_class}: give one of'
        ' gymnasium.spaces'
      )
  if not is_vector:
    _check_reset_takes_a_seed(environment)
  return Interface(
    name,
    getattr(environment, f'{prefix}observation_space'),
    (environment.num_envs,) if is_vector else (),
  )


def class_name(environment: Any) -> str:
  """Returns the class of an unwrapped environment, or of a vector's rows."""
  if isinstance(environment, gymnasium.vector.VectorEnv):
    rows = getattr(environment.unwrapped, 'envs', None)
    environment = rows[0] if rows else environment
  return type(getattr(environment, 'unwrapped', environment)).__name__


def check_reset(
  environment: Environment, returned: Any, warn: bool = True
) -> tuple[Any, dict[str, Any]]:
  """Checks what `reset` returned.

  Args:
    environment: An environment, single or vector, or its `Interface`.
    returned: What its `reset` returned.
    warn: Whether to warn of an observation outside its space.

  Returns:
    The observation and the info: {} if it is not a dict.

  Raises:
    ValueError: In one line, if `returned` is not what Gymnasium's API and the
      spaces promise.
  """
  promised = interface_of(environment)
  observation, info = _unpack(promised.name, 'reset', returned)
  _check_observation(promised, observation, warn)
  return observation, as_info(info)


def check_step(
  environment: Environment, returned: Any, warn: bool = True
) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
  """Checks what `step` returned.

  Args:
    environment: An environment, single or vector, or its `Interface`.
    returned: What its `step` returned.
    warn: Whether to warn of an observation outside its space.

  Returns:
    The observation, the reward, whether the episode terminated and whether it
    was truncated, as they were returned, and the info: {} if it is not a dict.

  Raises:
    ValueError: In one line, if `returned` is not what Gymnasium's API and the
      spaces promise.
  """
  promised = interface_of(environment)
  observation, reward, terminated, truncated, info = _unpack(
    promised.name, 'step', returned
  )
  _check_observation(promised, observation, warn)
  size = math.prod(promised.batch_shape)
  rewards = _to_numbers(reward)
  if rewards is None or rewards.size != size:
    wanted = f'{size} numbers' if promised.batch_shape else 'a number'
    raise ValueError(
      f'the reward of {promised.name} is {_show(reward)}: return {wanted}'
    )
  for name, value in (('terminated', terminated), ('truncated', truncated)):
    # Gymnasium's wrappers take None for False.
    if value is None or (isinstance(value, bool) and size == 1):
      continue
    flags = np.asarray(value)
    if flags.dtype.kind not in 'biuf' or flags.size != size:
      wanted = f'{size} booleans' if promised.batch_shape else 'True or False'
      raise ValueError(
        f'{name} of {promised.name} is {_show(value)}: return {wanted}'
      )
  return observation, reward, terminated, truncated, as_info(info)


def check_observation(
  space: spaces.Space, observation: Any, name: str, warn: bool = True
) -> None:
  """Compares an observation with its space.

  Args:
    space: The observation space of an environment.
    observation: An observation.
    name: The class of the environment, for messages.
    warn: Whether to warn of an observation outside the space.

  Raises:
    ValueError: In one line, if structure, shape or type differ.
  """
  _check_observation(Interface(name, space), observation, warn)


def as_info(info: Any) -> dict[str, Any]:
  """Returns an info; {} if it is not a dict, as of wrappers that drop it."""
  return info if isinstance(info, dict) else {}


def explain(environment: Environment, method: str, error: Exception) -> None:
  """Translates an error of Gymnasium's code that could not unpack values.

  Wrappers such as `TimeLimit`, and vector environments, unpack what the
  environment inside returned before `check_reset` and `check_step` can see it.

  Args:
    environment: An environment, single or vector, or its `Interface`.
    method: 'reset' or 'step'.
    error: The exception that this method raised.

  Raises:
    ValueError: If it is such an error.
  """
  trace = error.__traceback__
  while trace and trace.tb_next:
    trace = trace.tb_next
  file = trace.tb_frame.f_code.co_filename if trace else ''
  if 'unpack' in str(error) and file.startswith(_UNPACKING):
    raise ValueError(
      f'{method} of {interface_of(environment).name} does not return'
      f" Gymnasium's {_describe_values(method)}: {error}"
    ) from error


def _check_reset_takes_a_seed(environment):
  layer = environment
  while True:
    parameters = inspect.signature(layer.reset).parameters
    if 'seed' not in parameters and not any(
      p.kind == p.VAR_KEYWORD for p in parameters.values()
    ):
      raise ValueError(
        f'reset of {type(layer).__name__} takes no seed: define it as'
        ' reset(self, *, seed=None, options=None)'
      )
    if not isinstance(layer, gymnasium.Wrapper):
      return
    layer = layer.env


def _unpack(name, method, returned):
  """Returns the values of `reset` or `step`."""
  expected = _VALUES[method]
  if not isinstance(returned, (tuple, list)):
    raise ValueError(
      f'{method} of {name} returned one value, of type'
      f" {type(returned).__name__}, Gymnasium's has"
      f' {_describe_values(method)}: return these'
    )
  if len(returned) != len(expected):
    fix = 'return these'
    if method == 'step' and len(returned) == 4:
      fix = 'return terminated and truncated in place of done'
    raise ValueError(
      f"{method} of {name} returned {len(returned)} values, Gymnasium's has"
      f' {_describe_values(method)}: {fix}'
    )
  return returned


def _describe_values(method):
  names = _VALUES[method]
  return f'{len(names)} ({", ".join(names)})'


def _check_observation(promised, observation, warn):
  name, space, batch_shape = promised
  subject = f'the observation of {name}'
  is_inside = _check_part(subject, space, observation, batch_shape, warn)
  if warn and not is_inside:
    # Python shows the same warning once.
    warnings.warn(
      f'{subject} lies outside its space {_shorten(str(space))}, and is passed'
      ' on as it is: widen the space, or clip the observation',
      stacklevel=1,
    )


def integer_bounds(space: spaces.Space) -> tuple[Any, Any]:
  """Returns the smallest and the largest values of one of `INTEGERS`."""
  if isinstance(space, spaces.MultiBinary):
    return 0, 1
  # start + n may be one more than their type holds.
  if isinstance(space, spaces.Discrete):
    first = int(space.start)
    return first, first + int(space.n) - 1
  assert isinstance(space, spaces.MultiDiscrete)
  first = space.start.astype(np.int64)
  return first, first + space.nvec.astype(np.int64) - 1


def _check_part(subject, space, value, batch_shape, with_bounds):
  """Compares a part of an observation with its space.

  Returns:
    Whether it lies inside its space; True unless `with_bounds`.

  Raises:
    ValueError: If its structure, shape or type differ.
  """
  if isinstance(space, (spaces.Dict, spaces.Tuple)):
    parts = _parts(subject, space, value)
    is_inside = not with_bounds or len(value) == len(parts)
    for key, part in parts:
      is_inside &= _check_part(
        f'{subject}[{key!r}]', part, value[key], batch_shape, with_bounds
      )
    return is_inside
  array = _to_numbers(value)
  if array is None:
    raise ValueError(
      f'{subject} is {_show(value)}, its space'
      f' {_shorten(str(space))} has numbers: return an array of them'
    )
  expected = (*batch_shape, *(space.shape or ()))
  if array.shape != expected:
    raise ValueError(
      f'{subject} has shape {array.shape}, its space {_shorten(str(space))}'
      f' says {expected}: make them equal'
    )
  if (
    array.dtype.kind == 'f'
    and space.dtype.kind in 'iub'
    and (array % 1 != 0).any()
  ):
    raise ValueError(
      f'{subject} has fractions, its space {_shorten(str(space))} has integers:'
      ' scale the observation, or give the space a float dtype'
    )
  return not with_bounds or _is_inside(space, array)


def _parts(subject, space, value):
  """Returns the keys and spaces of a Dict's or Tuple's parts.

  Raises:
    ValueError: If the value does not have these parts.
  """
  if isinstance(space, spaces.Dict):
    missing = (
      [key for key in space.spaces if key not in value]
      if isinstance(value, Mapping)
      else list(space.spaces)
    )
    if missing:
      raise ValueError(
        f'{subject} is of type {type(value).__name__} and lacks'
        f' {_shorten(str(missing))}, which its space has: return a dict with'
        ' the keys of the space'
      )
    return list(space.spaces.items())
  size = len(space.spaces)
  if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != size:
    raise ValueError(
      f'{subject} is {_show(value)}, its space is a Tuple of {size}'
      f' spaces: return a tuple of {size} values'
    )
  return list(enumerate(space.spaces))


def _to_numbers(value):
  """Returns a value as an array of numbers, None if it holds anything else."""
  try:
    array = np.asarray(value)
    if array.dtype.kind in 'biuf':
      return array
    if array.dtype.kind == 'O' and not any(v is None for v in array.flat):
      return array.astype(np.float64)
  except (TypeError, ValueError):
    pass
  return None


def _is_inside(space, array):
  """Whether an array of the right shape, or a batch, is inside its bounds."""
  if isinstance(space, spaces.Box):
    low, high = space.low, space.high
    if space.dtype.kind == 'f':
      # A float64 number may round to the bound.
      with np.errstate(over='ignore'):
        array = array.astype(space.dtype)
  elif isinstance(space, INTEGERS):
    low, high = integer_bounds(space)
  else:
    return True
  return bool(((array >= low) & (array <= high)).all())


def _show(value):
  """Returns a value's text with plain numbers, as NumPy 1 writes them."""
  with np.printoptions(legacy=_PLAIN):
    return _shorten(repr(value))


def _shorten(text):
  """Returns a text in one line of bounded length."""
  text = ' '.join(text.split())
  return text if len(text) <= _MAX_LENGTH else f'{text[: _MAX_LENGTH - 3]}...'
