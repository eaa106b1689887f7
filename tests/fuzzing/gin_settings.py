"""Random settings of every parameter that a config can bind, mostly invalid."""

import inspect
from typing import NamedTuple

import gin
from hypothesis import strategies as st

import maml_tf.environments.locomotion
import maml_tf.learning.trust_region  # noqa: F401

# Configs and settings that use a part which point.gin does not use.
_USED_BY = {
  'ExplorationObjective': ('emaml.gin',),
  'ParameterStepSizes': ('meta_sgd.gin',),
  'PolicyGradientObjective': ('maml_vpg.gin',),
  'ReptileUpdate': ('reptile.gin',),
  'TrustRegionUpdate': ('maml_trpo.gin',),
  'ValueLoss': ('rllib_maml.gin',),
  'create_value_network': ('rllib_maml.gin',),
  'dice': ('dice.gin',),
  'names_match': ('anil.gin',),
}
_MADE_USED = {
  'Evaluator': ('train_eval.evaluation_interval = 1',),
  'HalfCheetahDirection': (
    'import maml_tf.environments.locomotion',
    'train_eval.environment_class = @HalfCheetahDirection',
  ),
  'HalfCheetahVelocity': (
    'import maml_tf.environments.locomotion',
    'train_eval.environment_class = @HalfCheetahVelocity',
  ),
  'LayerStepSizes': (
    'import maml_tf.learning.step_sizes',
    'InnerLoop.step_size = @LayerStepSizes()',
  ),
}
_TINY = (
  'train_eval.num_iterations = 1',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 3',
  'create_actor_network.fc_layer_params = (4,)',
  'GradientUpdate.num_steps = 1',
  'Evaluator.num_tasks = 2',
  'Evaluator.episodes_per_task = 2',
)


class Setting(NamedTuple):
  """A setting that is added to a valid, tiny experiment.

  Attributes:
    owner: A configurable's name.
    parameter: The name of one of its parameters.
    value: The value in gin's syntax.
  """

  owner: str
  parameter: str
  value: str

  @property
  def gin_files(self) -> list[str]:
    """Configs that use the owner."""
    return ['point.gin', *_USED_BY.get(self.owner, ())]

  @property
  def gin_bindings(self) -> list[str]:
    """The tiny sizes and the setting."""
    setting = f'{self.owner}.{self.parameter} = {self.value}'
    return [*_TINY, *_MADE_USED.get(self.owner, ()), setting]


def parameters() -> list[tuple[str, str]]:
  """Returns all bindable parameters of the package and of the optimizer."""
  found = []
  for _, configurable in gin.config._REGISTRY.items():
    module = configurable.module or ''
    if module.startswith('maml_tf') or configurable.name == 'Adam':
      found += [
        (configurable.name, name)
        for name in inspect.signature(configurable.wrapped).parameters
        if name not in ('self', 'args', 'kwargs', 'name', 'root_dir')
      ]
  return sorted(found)


_REFERENCES = st.sampled_from(
  [
    '@NoBaseline',
    '@NoBaseline()',
    '@PointNavigation',
    '@PointNavigation()',
    '@likelihood_ratio',
    '@InnerLoop()',
    '@GradientUpdate',
    '@tf.keras.optimizers.Adam()',
    '@create_actor_network',
    '@ProximalObjective',
    '@TrustRegionUpdate()',
    '@MamlAgent',
    '@names_match()',
    '@ValueLoss()',
    '@nothing',
    '%nothing',
  ]
)
# Sizes are tiny, invalid, or far too large.
_NUMBERS = st.one_of(
  st.integers(-3, 3),
  st.sampled_from([10**12, 10**30, -(10**30)]),
  st.floats(),
  st.sampled_from([-0.0, 0.5, 1e30, -1e30, 1e-300]),
)
_VALUES = st.recursive(
  st.one_of(
    _NUMBERS,
    st.text('a(%\'"\n ', max_size=3),
    st.none(),
    st.booleans(),
  ),
  lambda inner: st.one_of(
    st.lists(inner, max_size=2),
    st.lists(inner, max_size=2).map(tuple),
    st.dictionaries(st.text('ab', max_size=1), inner, max_size=1),
  ),
  max_leaves=3,
).map(repr)


def settings() -> st.SearchStrategy[Setting]:
  """Draws any parameter with any value."""
  return st.builds(
    lambda name, value: Setting(*name, value),
    st.sampled_from(parameters()),
    st.one_of(_VALUES, _VALUES, _REFERENCES),
  )
