"""What does not fit into memory is refused in one line."""

import pytest

from maml_tf.core import memory
from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.run import experiment


def test_what_fits_and_what_does_not(monkeypatch):
  monkeypatch.setattr(memory, 'total_bytes', lambda: 16e9)
  memory.check('the episodes', 16e9, 'give fewer')
  with pytest.raises(ValueError) as raised:
    memory.check('the episodes', 2.5e12, 'give fewer')
  assert str(raised.value) == (
    'the episodes need at least 2,500 GB of memory, and this machine has 16 GB:'
    ' give fewer'
  )


def test_the_smallest_limit_counts(monkeypatch, tmp_path):
  without = memory.total_bytes()
  limit = tmp_path / 'limit'
  monkeypatch.setattr(memory, '_CGROUP_LIMITS', (str(limit),))
  assert memory.total_bytes() >= without > 1e8
  for text, has_limit in (('max\n', False), ('1000000\n', True)):
    limit.write_text(text, encoding='ascii')
    assert (memory.total_bytes() < without) == has_limit


@pytest.mark.parametrize(
  'sizes',
  [
    {'num_tasks': 30_000_000},
    {'environments_per_task': 10**9},
    {'horizon': 10**13},
    # Refused once the sizes of observations and actions are known.
    {'num_tasks': 11, 'environments_per_task': 1, 'horizon': 10**8},
  ],
)
def test_episodes_that_do_not_fit(sizes, monkeypatch):
  monkeypatch.setattr(memory, 'total_bytes', lambda: 25e9)
  all_sizes = {'num_tasks': 2, 'environments_per_task': 2, 'horizon': 100}
  with pytest.raises(ValueError, match='steps each need at least .* GB of mem'):
    experiment.create_environment(
      point_navigation.PointNavigation, False, **{**all_sizes, **sizes}
    )


def test_layers_that_do_not_fit():
  with pytest.raises(ValueError, match='weights of fc_layer_params = .* need'):
    actor_networks.layer_units((10**7, 10**7))
  assert actor_networks.layer_units((1000, 1000)) == (1000, 1000)
