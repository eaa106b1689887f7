"""Modules, names and gin selectors of version 0.1.0 still lead somewhere."""

import importlib

import gin
import pytest

import maml_tf
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import moved_modules
from maml_tf.learning import baselines
from maml_tf.learning import loss_info
from maml_tf.learning import maml_agent


@pytest.mark.parametrize('name', moved_modules.MOVED)
def test_a_moved_module_is_the_same_object(name):
  module = importlib.import_module(f'maml_tf.{moved_modules.MOVED[name]}')
  assert importlib.import_module(f'maml_tf.{name}') is module
  assert module.__name__ == module.__spec__.name
  if '.' not in name:
    assert getattr(maml_tf, name) is module


def test_checks_held_errors_too():
  old = importlib.import_module('maml_tf.checks')
  assert old.integer is checks.integer
  assert old.UsageError is errors.UsageError


def test_an_unknown_attribute_is_an_error():
  with pytest.raises(AttributeError, match='nothing'):
    _ = maml_tf.nothing


def test_names_that_have_another_module_now():
  assert maml_agent.MamlLossInfo is loss_info.MamlLossInfo
  old = importlib.import_module('maml_tf.learning.advantages')
  assert old.LinearFeatureBaseline is baselines.LinearFeatureBaseline


@pytest.mark.parametrize(
  'selector',
  [
    'maml_tf.experiment.train_eval',
    'maml_tf.evaluation.Evaluator',
    'maml_tf.learning.adaptation.InnerLoop',
    'adaptation.names_match',
    'advantages.LinearFeatureBaseline',
    'maml_tf.learning.advantages.ValueLoss',
    'maml_tf.learning.maml_agent.MamlAgent',
  ],
)
def test_gin_selects_by_the_former_module(selector):
  assert gin.get_configurable(selector) is not None
