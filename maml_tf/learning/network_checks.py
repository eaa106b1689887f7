"""Compares networks with the specs that an agent is given.

TF-Agents' networks are called with whatever fits: numbers instead of
distributions, or actions of another size, would be played without a word.
"""

from collections.abc import Iterable
import warnings

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import shifted_categorical
from tf_agents.networks import network as network_lib
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import action_distributions
from maml_tf.core import discrete_actions

tfd = tfp.distributions

# Layers that differ between training and acting, and what to use instead. The
# package always calls networks as for acting, because the ratio of two
# policies must not depend on a layer's noise.
_TRAINING_LAYERS = (
  (
    tf.keras.layers.BatchNormalization,
    'normalises nothing: use LayerNormalization, or'
    ' MamlAgent.normalize_observations = True',
  ),
  (
    (
      tf.keras.layers.Dropout,
      tf.keras.layers.AlphaDropout,
      tf.keras.layers.GaussianDropout,
      tf.keras.layers.GaussianNoise,
      *(
        getattr(tf.keras.layers, f'Random{name}')
        for name in ('Brightness', 'Contrast', 'Flip', 'Rotation')
        + ('Translation', 'Zoom')
      ),
    ),
    'has no effect: leave it out',
  ),
  (
    tf.keras.layers.SpectralNormalization,
    'normalises nothing: use LayerNormalization',
  ),
)

_ADVICE = "make the network from the environment's action spec"


def check_networks(
  actor_network: network_lib.Network,
  value_network: network_lib.Network | None,
  time_step_spec: ts.TimeStep,
  action_spec: types.NestedTensorSpec,
) -> action_distributions.ActionDistributions:
  """Checks networks whose variables exist.

  A layer that behaves differently in training, or a regularizer, gives a
  warning, because it has no effect here.

  Args:
    actor_network: The policy network.
    value_network: The value network, or None.
    time_step_spec: A `TimeStep` of specs, without a batch axis.
    action_spec: A nest of `BoundedTensorSpec`.

  Returns:
    The family of the policy network's outputs.

  Raises:
    ValueError: A network takes other observations, computes in another type
      than that of its variables or with variables that are not its own, or has
      another output than the agent needs.
  """
  networks = {'actor_network': actor_network}
  if value_network is not None:
    networks['value_network'] = value_network
  for name, network in networks.items():
    _check_observations(name, network, time_step_spec.observation)
    # TF-Agents keeps layers that were given beside the copies that it builds.
    layers = [
      module
      for module in network.submodules
      if isinstance(module, tf.keras.layers.Layer) and module.built
    ]
    _check_precision(name, layers)
    _warn_of_training_layers(name, layers)
    if network.losses:
      warnings.warn(
        f'{name} has regularizers, which have no effect: leave them out',
        stacklevel=3,
      )
    _check_variables(name, network, time_step_spec)
  _check_types(networks)
  if value_network is not None:
    _check_values(value_network, time_step_spec)
  return _check_actions(actor_network, time_step_spec, action_spec)


def _check_actions(network, time_step_spec, action_spec):
  """Compares a policy network's output with the action spec.

  Returns:
    Its family.

  Raises:
    ValueError: It is not a nest of distributions like the action spec, or a
      distribution has another shape, kind or number of values than its spec,
      or lacks a formula that the losses need.
  """
  output = action_distributions.example_output(network, time_step_spec)
  parts, specs = tf.nest.flatten(output), tf.nest.flatten(action_spec)
  for part in parts:
    if not isinstance(part, tfd.Distribution):
      kind = 'Tensor' if tf.is_tensor(part) else type(part).__name__
      raise ValueError(
        f'actor_network gives a {kind}: give a DistributionNetwork, such as'
        ' ActorDistributionNetwork'
      )
  if len(parts) != len(specs):
    raise ValueError(
      f'actor_network gives {len(parts)} distributions, the action spec has'
      f' {len(specs)} parts: {_ADVICE}'
    )
  distributions = action_distributions.ActionDistributions(output)
  noise = distributions.draw_noise(np.random.default_rng(0), (1,))
  actions = tf.nest.flatten(distributions.sample(output, noise))
  for distribution, action, spec in zip(parts, actions, specs):
    _check_action(distribution, action, spec)
    _check_formulas(distribution, action)
  return distributions


def _check_values(network, time_step_spec):
  """Raises ValueError unless a value network gives a number an observation."""
  output = action_distributions.example_output(network, time_step_spec)
  if not tf.is_tensor(output):
    got = f'a {type(output).__name__}'
  elif not output.dtype.is_floating or output.shape != [1]:
    got = f'{output.dtype.name} of shape {tuple(output.shape)}'
  else:
    return
  raise ValueError(
    f'value_network gives {got} for a batch of one observation, not a float of'
    ' shape (1,): give a network such as ValueNetwork'
  )


def _check_observations(name, network, observation_spec):
  given = network.input_tensor_spec
  if given is None:
    return
  try:
    tf.nest.assert_same_structure(given, observation_spec, check_types=False)
    fits = all(
      a.shape.is_compatible_with(b.shape)
      for a, b in zip(tf.nest.flatten(given), tf.nest.flatten(observation_spec))
    )
  except (TypeError, ValueError):
    fits = False
  if not fits:
    raise ValueError(
      f'{name} takes observations of {_describe(given)}, the time step spec has'
      f" {_describe(observation_spec)}: make the network from the environment's"
      ' observation spec'
    )


def _check_precision(name: str, layers: Iterable[tf.keras.layers.Layer]):
  """Raises ValueError for layers that cast their variables."""
  for layer in layers:
    policy = layer.dtype_policy
    has_variables = any(
      isinstance(v, tf.Variable) for v in vars(layer).values()
    )
    if has_variables and policy.compute_dtype != policy.variable_dtype:
      raise ValueError(
        f'{name}: layer {layer.name} has the policy {policy.name}, which is not'
        " supported: call tf.keras.mixed_precision.set_global_policy('float32')"
        ' before you make the network'
      )


def _check_variables(name, network, time_step_spec):
  """Raises ValueError for variables that the network does not know.

  They would be neither trained nor adapted. Layers of Keras 3 hold such.
  """
  with tf.GradientTape() as tape:
    action_distributions.example_output(network, time_step_spec)
  # With several replicas, each has a copy of a variable.
  copies = tf.distribute.get_strategy().experimental_local_results
  known = {id(c) for v in network.variables for c in (v, *copies(v))}
  unknown = [v for v in tape.watched_variables() if id(v) not in known]
  if unknown:
    raise ValueError(
      f'{name} computes with {", ".join(v.name for v in unknown)}, which'
      ' cannot be trained, as the network does not know it: make it with layers'
      ' of tf.keras (not of Keras 3) that are attributes of the network'
    )


def _check_types(networks):
  """Raises ValueError unless all trainable variables have one type."""
  types_of = {
    v.dtype.name: f'{v.name} of {name}'
    for name, network in networks.items()
    for v in network.trainable_variables
  }
  if len(types_of) > 1:
    examples = ' and '.join(f'{n} ({v})' for n, v in sorted(types_of.items()))
    raise ValueError(
      f'networks have variables of {examples}: give all layers one dtype, or'
      " leave tf.keras.backend.floatx() at 'float32'"
    )


def _warn_of_training_layers(name, layers):
  """Warns of layers that differ in training, unless they are frozen."""
  for kinds, consequence in _TRAINING_LAYERS:
    found = [x for x in layers if isinstance(x, kinds) and x.trainable]
    # TF-Agents' dropout may be permanent.
    permanent = [x for x in found if getattr(x, '_permanent', False)]
    if permanent:
      consequence = (
        'is random too, so that losses compare different networks: leave it out'
      )
    if found:
      described = ', '.join(f'{type(x).__name__} {x.name}' for x in found)
      warnings.warn(
        f'{name} has {described}: networks are always called with'
        f' training=False, where this {consequence}',
        stacklevel=4,
      )


def _check_action(distribution, action, spec):
  """Compares the shape, kind and values of one part of an action."""
  name = spec.name or 'the action'
  if not spec.shape.is_compatible_with(action.shape[1:]):
    raise ValueError(
      f'actor_network gives actions of shape {tuple(action.shape[1:])}, the'
      f' spec of {name} has {tuple(spec.shape)}: {_ADVICE}'
    )
  if action.dtype.is_floating != spec.dtype.is_floating:
    raise ValueError(
      f'actor_network gives {action.dtype.name} actions, the spec of {name} has'
      f' {spec.dtype.name}: {_ADVICE}'
    )
  if isinstance(distribution, tfd.Independent):
    distribution = distribution.distribution
  if isinstance(distribution, tfd.Categorical):
    first, last = _range(distribution)
    if np.any(spec.minimum != first) or np.any(spec.maximum != last):
      raise ValueError(
        f'actor_network gives actions from {_list(first)} to {_list(last)}, the'
        f' spec of {name} has {_list(spec.minimum)} to {_list(spec.maximum)}:'
        ' give a network of these actions, such as create_actor_network makes'
      )


def _range(distribution):
  """Returns the smallest and the largest value of a Categorical."""
  if isinstance(distribution, discrete_actions.BoundedCategorical):
    parameters = distribution.parameters
    return parameters['minimum'], parameters['maximum']
  first = 0
  if isinstance(distribution, shifted_categorical.ShiftedCategorical):
    first = np.asarray(distribution.shift)
  return first, first + distribution.logits_parameter().shape[-1] - 1


def _check_formulas(distribution, action):
  """Raises ValueError if a distribution lacks a formula that losses need."""
  for name, formula in (
    (
      'log-probability',
      lambda: action_distributions.log_prob(distribution, action),
    ),
    ('entropy', lambda: action_distributions.entropy(distribution)),
    (
      'KL divergence',
      lambda: action_distributions.kl_divergence(distribution, distribution),
    ),
  ):
    try:
      formula()
    except NotImplementedError:
      raise ValueError(
        f'actor_network gives a {type(distribution).__name__}, which has no'
        f' {name}: use Normal, MultivariateNormalDiag, Categorical, or a'
        ' Gaussian behind a bijector that acts on each dimension alone'
      ) from None


def _list(value):
  return np.asarray(value).tolist()


def _describe(spec):
  shapes = [tuple(s.shape) for s in tf.nest.flatten(spec)]
  if not tf.nest.is_nested(spec):
    return f'shape {shapes[0]}'
  return f'shapes {shapes}'
