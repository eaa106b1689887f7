"""TensorFlow is loaded with legacy Keras, or one line says what is missing."""

import os
import sys
import types

import pytest

from maml_tf.core import stack


@pytest.fixture(name='install')
def _install(monkeypatch):
  """Returns a function that puts doubles in the place of libraries."""

  def install(tensorflow='2.21.0', keras_3=None, **others):
    keras = types.ModuleType('keras' if keras_3 else 'tf_keras.api._v2.keras')
    if keras_3:
      keras.__version__ = keras_3
    double = types.ModuleType('tensorflow')
    double.__version__, double.keras = tensorflow, keras
    modules = {'tensorflow': double, keras.__name__: keras}
    for name in ('tf_agents', 'tf_keras'):
      module = types.ModuleType(name)
      module.__spec__ = object()
      modules[name] = module if others.get(name, True) else None
    for name, module in modules.items():
      monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, 'tensorflow.keras', raising=False)
    return keras

  monkeypatch.setenv('TF_USE_LEGACY_KERAS', '')
  monkeypatch.delenv('TF_USE_LEGACY_KERAS')
  yield install


@pytest.mark.parametrize('version', ['2.16.0', '2.21.0', '2.22.0-rc1'])
def test_newer_tensorflow_gets_legacy_keras(install, version):
  keras = install(version)
  stack.load()
  assert os.environ['TF_USE_LEGACY_KERAS'] == '1'
  # Also for `from tensorflow.keras import layers`, as in TF-Agents.
  assert sys.modules['tensorflow.keras'] is keras


def test_tensorflow_2_15_has_it_by_itself(install):
  install('2.15.1', tf_keras=False)
  stack.load()
  assert 'TF_USE_LEGACY_KERAS' not in os.environ


@pytest.mark.parametrize(
  ('variable', 'libraries', 'line'),
  [
    (None, {'tf_agents': False}, 'tf-agents is not installed: run pip install'),
    (
      None,
      {'tf_keras': False},
      'tf-keras is not installed: run pip install tf-keras==2.21.*',
    ),
    (
      '0',
      {},
      "TF_USE_LEGACY_KERAS is '0', but TF-Agents needs legacy Keras: unset it, "
      'or set it to 1',
    ),
    (
      '1',
      {'tensorflow': '2.15.1', 'tf_keras': False},
      'TF_USE_LEGACY_KERAS is 1, but TensorFlow 2.15.1 has legacy Keras '
      'itself: unset it',
    ),
    (
      None,
      {'keras_3': '3.15.1'},
      'tf.keras is Keras 3.15.1 in this process, but TF-Agents needs legacy '
      'Keras: import maml_tf before whatever uses tf.keras, or set '
      'TF_USE_LEGACY_KERAS=1 before Python starts',
    ),
  ],
)
def test_what_does_not_fit_is_one_line(
  install, monkeypatch, variable, libraries, line
):
  install(**libraries)
  if variable:
    monkeypatch.setenv('TF_USE_LEGACY_KERAS', variable)
  with pytest.raises(stack.StackError) as error:
    stack.load()
  assert str(error.value).startswith(line)
  assert '\n' not in str(error.value)


def test_tf_agents_comes_without_what_it_asks_for(install, monkeypatch):
  install(tf_agents=False)
  for version, command in (
    ((3, 11), 'pip install tf-agents==0.19.0'),
    ((3, 12), 'pip install --no-deps tf-agents==0.19.0'),
  ):
    monkeypatch.setattr(sys, 'version_info', version)
    with pytest.raises(stack.StackError, match=f'run {command}$'):
      stack.load()
