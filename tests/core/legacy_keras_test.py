"""Legacy Keras under either name of its package."""

import importlib

import pytest
import tensorflow as tf

from maml_tf.core import legacy_keras


@pytest.mark.parametrize('package', ['keras', 'tf_keras'])
def test_a_module_of_either_name_is_that_of_tensorflow(package):
  name = legacy_keras.module_name(f'{package}.src.engine.training')
  assert importlib.import_module(name).Model is tf.keras.Model
  assert legacy_keras.module_name(package) == legacy_keras.PACKAGE


@pytest.mark.parametrize('name', ['keras_cv.models', 'tensorflow.keras', 'my'])
def test_other_modules_keep_their_names(name):
  assert legacy_keras.module_name(name) == name
