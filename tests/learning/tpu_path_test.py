"""Where a TPU is taken for granted, compiled code has no float64."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import devices
from tests.learning import recorded_batches
from tests.learning import small_agent


@pytest.fixture(name='agent')
def create_agent(monkeypatch):
  """An agent that takes this process for one that learns on a TPU."""
  monkeypatch.setattr(devices, 'kind', lambda: 'TPU')
  monkeypatch.setattr(devices, 'has_float64', lambda: False)
  monkeypatch.setattr(devices, 'set_tf32', lambda *args: None)
  return small_agent.create_agent(normalize_observations=True)


def _hlo(fn, *args):
  compiled = tf.function(fn, jit_compile=True, autograph=False)
  return compiled.experimental_get_compiler_ir(*args)(stage='hlo')


def test_no_float64_is_compiled(agent):
  batch = recorded_batches.create(agent)
  state = agent.policy.get_initial_state(2)
  stage = agent.prepare(batch.query)
  texts = {
    'prepare': _hlo(lambda frames: agent.prepare(frames), batch.query),
    'adapt': _hlo(lambda stage, state: agent.adapt(stage, state), stage, state),
    'train': _hlo(lambda batch: agent.train(batch), batch),
  }
  for name, text in texts.items():
    assert 'f32[' in text
    assert 'f64' not in text, f'{name}: {_lines(text)}'


def test_with_float64_the_test_would_notice():
  agent = small_agent.create_agent(jit_compile=True)
  frames = recorded_batches.create(agent).query
  assert 'f64' in _hlo(lambda frames: agent.prepare(frames), frames)


def test_a_train_step_is_that_of_float64(agent):
  batch = recorded_batches.create(agent)
  reference = small_agent.create_agent(normalize_observations=True)
  loss_info = agent.train(batch)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(devices, 'has_float64', lambda: True)
    expected = reference.train(batch)
  numbers = [loss_info.loss, *agent.training_variables]
  others = [expected.loss, *reference.training_variables]
  for number, other in zip(numbers, others, strict=True):
    np.testing.assert_allclose(number, other, rtol=1e-4, atol=1e-5)


def _lines(text):
  return [line.strip()[:200] for line in text.splitlines() if 'f64' in line][:5]
