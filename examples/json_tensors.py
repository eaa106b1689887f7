"""Converts JSON that anyone may send to tensors of a signature, and back.

What does not match the signature, or is too large, is a ValueError in one line.
"""

import json
import math

import numpy as np
import tensorflow as tf

MAX_TASKS = 256
MAX_ROWS = 100_000  # Observations of act_adapted, frames of adapt.
MAX_ANSWER = 2**21  # Numbers in an answer: about 43 MB of text.
MAX_LISTS = 2**20  # Lists, objects and names in a body.
RANGES = {
  'batch_size': (1, MAX_TASKS),
  'step_type': (0, 2),
  'next_step_type': (0, 2),
}


def parse(body):
  """Parses a JSON object.

  Args:
    body: Bytes.

  Returns:
    A dict.

  Raises:
    ValueError: They are something else, or objects hold a name twice.
    RecursionError: Lists stand too deep in each other.
  """
  if sum(map(body.count, (b'[', b'{', b':'))) > MAX_LISTS:
    raise ValueError(f'the body has more than {MAX_LISTS} lists')
  value = json.loads(body, object_pairs_hook=_object)
  if not isinstance(value, dict):
    raise ValueError('give a JSON object')
  return value


def _object(pairs):
  if len(dict(pairs)) != len(pairs):
    raise ValueError('a name occurs twice in a JSON object')
  return dict(pairs)


def to_tensors(values, specs):
  """Converts nested lists to tensors.

  Args:
    values: What JSON has in place of a dict of nested lists, by name.
    specs: A dict of `TensorSpec`, by name.

  Returns:
    A dict of tensors like `specs`.

  Raises:
    ValueError: A name is missing or unknown, or a list does not match its spec.
  """
  if not isinstance(values, dict) or set(values) != set(specs):
    raise ValueError(f'give inputs: an object of {", ".join(sorted(specs))}')
  return {name: _to_tensor(name, values[name], specs[name]) for name in specs}


def _to_tensor(name, value, spec):
  wanted = f'{spec.dtype.name} of shape {spec.shape.as_list()} (null is any)'
  # In an array of text, every item would be as wide as the widest.
  array = np.asarray(value, object)
  types = set(map(type, array.flat))
  if list in types:
    raise ValueError(f'{name} is ragged: give {wanted}')
  if not types <= ({int, float} if spec.dtype.is_floating else {int}):
    raise ValueError(f'{name} holds values that are not numbers: give {wanted}')
  if not spec.shape.is_compatible_with(array.shape) or not array.size:
    raise ValueError(f'{name} has shape {list(array.shape)}: give {wanted}')
  rows = math.prod(n for n, m in zip(array.shape, spec.shape) if m is None)
  most = MAX_TASKS if name.startswith('state_') else MAX_ROWS
  if rows > most:
    raise ValueError(f'{name} has {rows} rows: give at most {most}')
  limits = float(spec.dtype.min), float(spec.dtype.max)
  low, high = RANGES.get(name, limits)
  if not np.all((array >= low) & (array <= high)):
    raise ValueError(f'{name} is out of range: give {low} to {high}')
  return tf.constant(array.astype(spec.dtype.as_numpy_dtype))


def to_lists(tensors):
  """Converts a dict of tensors to nested lists.

  Raises:
    ValueError: They have too many numbers.
  """
  if sum(math.prod(tensor.shape) for tensor in tensors.values()) > MAX_ANSWER:
    raise ValueError(f'the answer has more than {MAX_ANSWER} numbers: ask less')
  return {name: tensor.numpy().tolist() for name, tensor in tensors.items()}
