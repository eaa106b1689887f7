"""Tests of gin files that refer to what was never registered with gin."""

import sys

import gin
import pytest
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.run import config

MODULE = """
class Plain:
  def __init__(self, size=1):
    self.size = size

def make(name='a'):
  return name

not_callable = 3
"""


@gin.configurable(module='config_references_test')
def receive(first=None, second=None):
  return first, second


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """A working directory with a module whose name no other test uses."""
  name = f'family_{tmp_path.name.replace("-", "_")}'
  (tmp_path / f'{name}.py').write_text(MODULE)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.chdir(tmp_path)
  gin.clear_config()
  yield name
  gin.clear_config()
  sys.modules.pop(name, None)


def test_a_class_and_a_function_need_not_be_registered(folder, tmp_path):
  (tmp_path / 'x.gin').write_text(
    f'import {folder}  # A comment with @no.reference.\n'
    f'receive.first = @{folder}.Plain\n'
    f'receive.second = @{folder}.make()\n'
    'Plain.size = 4\n'
  )
  config.parse(['x.gin'], [f"{folder}.make.name = 'b'"])
  first, second = receive()
  assert first().size == 4
  assert second == 'b'
  # What a run records can be read again.
  (tmp_path / 'config.gin').write_text(gin.operative_config_str())
  gin.clear_config()
  config.parse(['config.gin'], [])
  assert receive()[0]().size == 4


# `keras` is legacy Keras before TensorFlow 2.16, and `tf_keras` after it.
@pytest.mark.parametrize('package', ['keras', 'tf_keras'])
def test_both_names_of_legacy_keras_are_the_keras_here(package, tmp_path):
  (tmp_path / 'x.gin').write_text(
    f'import {package}.activations\n'
    f'from {package} import initializers\n'
    f'receive.first = @{package}.activations.swish\n'
    'receive.second = @initializers.HeNormal()\n'
  )
  config.parse(['x.gin'], [])
  first, second = receive()
  assert first.__module__ == tf.keras.activations.swish.__module__
  assert isinstance(second, tf.keras.initializers.HeNormal)
  # The record says what the user's file says.
  record = gin.operative_config_str()
  assert f'import {package}.activations\n' in record
  (tmp_path / 'config.gin').write_text(record)
  gin.clear_config()
  config.parse(['config.gin'], [])
  assert isinstance(receive()[1], tf.keras.initializers.HeNormal)


def test_included_files_and_scopes_count(folder, tmp_path):
  (tmp_path / 'inner.gin').write_text(
    f'import {folder}\nreceive.first = @small/Plain()\nsmall/Plain.size = 2\n'
  )
  (tmp_path / 'x.gin').write_text("include 'inner.gin'\n")
  config.parse(['x.gin'], [])
  assert receive()[0].size == 2


@pytest.mark.parametrize(
  ('line', 'message'),
  [
    ('receive.first = @{0}.Missing', 'Missing'),
    ('receive.first = @{0}.not_callable', 'not_callable'),
    ('Plain.weight = 3', "'weight'"),
    ('import no_such_module', 'no_such_module'),
    ("include 'no_such_file.gin'", 'no_such_file.gin'),
  ],
)
def test_what_is_not_there_is_said_in_one_line(folder, tmp_path, line, message):
  (tmp_path / 'x.gin').write_text(f'import {folder}\n{line.format(folder)}\n')
  with pytest.raises(errors.UsageError, match=message) as error:
    config.parse(['x.gin'], [])
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('code', 'message'),
  [
    ('import no_such_library', "ModuleNotFoundError: No .*'no_such_library'"),
    ('x = y', "NameError: name 'y' is not defined"),
    ('x = (', 'SyntaxError'),
    ('import sys\nsys.exit(3)', 'ends Python, with exit code 3'),
  ],
)
def test_a_module_that_fails_shows_its_traceback(
  folder, tmp_path, code, message
):
  (tmp_path / f'{folder}.py').write_text(code + '\n')
  (tmp_path / 'x.gin').write_text(f'import {folder}\n')
  with pytest.raises(errors.UsageError, match=message) as error:
    config.parse(['x.gin'], [])
  assert '\n' not in str(error.value)
  assert f'{folder}.py' in error.value.traceback
  assert str(error.value).startswith(f'x.gin, line 1: import {folder}: ')
