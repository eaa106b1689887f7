"""XLA compiles each function once per shape, as its dumps show."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from maml_tf import serving
from maml_tf.collection import meta_collector
from maml_tf.core import xla_cache
from maml_tf.environments import point_navigation
from tests import point_agent
from tests.survival import trained_process

COMPILED = (
  *trained_process.SMALL_POINT,
  '--gin_bindings=MamlAgent.jit_compile = True',
)


def _num_compilations(folder):
  return len(list(pathlib.Path(folder).glob('*.before_optimizations.txt')))


@pytest.mark.parametrize(
  'flags',
  [
    (),
    pytest.param(
      ('--strategy=mirrored', '--num_virtual_cpus=2'), marks=pytest.mark.slow
    ),
    pytest.param(('--gin_file=maml_trpo.gin',), marks=pytest.mark.slow),
  ],
)
def test_five_iterations_compile_no_more_than_one(flags, tmp_path):
  dumps = tmp_path / 'dumps'
  file, *rest = COMPILED
  process = trained_process.start(
    tmp_path / 'run',
    (file, *flags, *rest),
    5,
    {'XLA_FLAGS': f'--xla_dump_to={dumps} --xla_dump_hlo_as_text'},
  )
  trained_process.wait_for(process, 'iteration 1/')
  after_one = _num_compilations(dumps)
  trained_process.wait_for(process, 'iteration 5/')
  # Acting, preparing, adapting, and the step or the functions in it.
  assert _num_compilations(dumps) == after_one >= 4
  code, lines = trained_process.finish(process)
  assert code == 0, lines
  assert len(trained_process.rows(tmp_path / 'run')) == 5


@pytest.mark.slow
@pytest.mark.skipif(
  not tf.__version__.startswith('2.21.'),
  reason='programs are kept with TensorFlow 2.21 only',
)
def test_a_second_run_compiles_nothing(tmp_path):
  dumps = tmp_path / 'dumps'
  environment = {
    'XLA_FLAGS': f'--xla_dump_to={dumps} --xla_dump_hlo_as_text',
    'XDG_CACHE_HOME': str(tmp_path / 'cache'),
    xla_cache.VARIABLE: '',
  }
  compilations, metrics = [], []
  for name in ('first', 'second'):
    root_dir = tmp_path / name
    process = trained_process.start(root_dir, COMPILED, 2, environment)
    code, lines = trained_process.finish(process)
    assert code == 0, lines
    # What TensorFlow says of loading stays hidden.
    assert not any('XLA:CPU AOT' in line for line in lines)
    compilations.append(_num_compilations(dumps))
    metrics.append([r['meta_loss'] for r in trained_process.rows(root_dir)])
  assert compilations[0] == compilations[1] >= 4
  assert metrics[0] == metrics[1]


def _compiled(fn):
  return tf.function(fn, jit_compile=True, autograph=False)


def test_the_exported_adapt_compiles_once_for_each_shape(tmp_path):
  environment = point_navigation.PointNavigation(2, 3, 10)
  agent = point_agent.create_agent(environment)
  collector = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  serving.save_adaptive(agent, str(tmp_path / 'model'))
  adapt = tf.saved_model.load(str(tmp_path / 'model')).adapt
  compiled = _compiled(adapt)
  for iteration in range(3):
    collected = collector.collect(iteration)
    experience = collected.meta_batch.support[0]
    state = collected.policy_states[0]
    for ours, theirs in zip(
      compiled(experience, state), collected.policy_states[1], strict=True
    ):
      np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
  assert compiled.experimental_get_tracing_count() == 1
  half = tf.nest.map_structure(lambda t: t[:1], (experience, state))
  for ours, theirs in zip(compiled(*half), adapt(*half), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
  assert compiled.experimental_get_tracing_count() == 2
