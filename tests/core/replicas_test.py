"""Returns standardised over tasks."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import devices
from maml_tf.core import replicas


@pytest.fixture(name='has_float64', params=[True, False], autouse=True)
def choose_device(request, monkeypatch):
  """Computes as on a CPU, and as on a TPU."""
  monkeypatch.setattr(devices, 'has_float64', lambda: request.param)
  return request.param


def test_standardize():
  # Mean 2, variance 2/3.
  extreme = np.sqrt(1.5)
  np.testing.assert_allclose(
    replicas.standardize(tf.constant([1.0, 2, 3])),
    [-extreme, 0, extreme],
    rtol=1e-6,
  )


@pytest.mark.parametrize('number', [1 / 3, -1000 / 3, 1e6 / 3, 1e30, 0.0])
def test_equal_returns_standardize_to_zero(number):
  # The last is one unit in the last place off: its square is lost among those
  # of a thousand others.
  values = np.full(1000, number, np.float32)
  values[-1] = np.nextafter(values[-1], np.float32(np.inf))
  np.testing.assert_array_equal(replicas.standardize(tf.constant(values)), 0)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_standardize_passes_what_is_not_finite_on(bad):
  result = replicas.standardize(tf.constant([1.0, 1.0, bad]))
  assert not np.isfinite(result).all()
