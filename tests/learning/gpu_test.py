"""What holds on a GPU; skipped where there is none.

Bits that do not depend on how tasks are divided are the CPU's promise alone.
"""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import devices
from tests.learning import recorded_batches
from tests.learning import small_agent

pytestmark = pytest.mark.skipif(not devices.gpus(), reason='there is no GPU')


def _trained(**kwargs):
  """The parameters after three steps."""
  agent = small_agent.create_agent(
    meta_update=small_agent.sgd(0.1, num_steps=2), **kwargs
  )
  for seed in range(3):
    agent.train(recorded_batches.create(agent, seed=seed))
  return small_agent.values(agent)


# In graph mode with chunks of one task, bits were seen to differ.
@pytest.mark.parametrize(
  'kwargs', [{}, {'jit_compile': False}, {'task_chunk_size': 1}]
)
def test_the_same_bits_twice(kwargs):
  first, second = _trained(**kwargs), _trained(**kwargs)
  for value, other in zip(first, second, strict=True):
    np.testing.assert_array_equal(value, other)


def test_defaults_are_all_tasks_and_xla_without_tf32():
  agent = small_agent.create_agent()
  assert agent.placement[:2] == ('GPU', True)
  assert not tf.config.experimental.tensor_float_32_execution_enabled()
  recorded_batches.create(agent)
  assert agent.placement.chunk_size.smallest is None


def test_the_meta_gradient_is_that_of_the_cpu():
  agent = small_agent.create_agent(num_adaptation_steps=2)
  batch = recorded_batches.create(agent)
  theta = small_agent.theta(agent)
  _, on_gpu, _ = agent.meta_problem(batch).gradient(theta)
  reference = small_agent.create_agent(
    num_adaptation_steps=2, jit_compile=False, task_chunk_size=1
  )
  with tf.device('/CPU:0'):
    _, on_cpu, _ = tf.function(
      lambda: reference.meta_problem(batch).gradient(theta), autograph=False
    )()
  ours, others = (
    np.concatenate([np.ravel(g) for g in tf.nest.flatten(gradient)])
    for gradient in (on_gpu, on_cpu)
  )
  error = np.linalg.norm(ours - others) / np.linalg.norm(others)
  assert error < 1e-4  # TF32 would be 1e-2.
