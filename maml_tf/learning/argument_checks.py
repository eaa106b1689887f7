"""Checks of an agent's arguments; each error is one line with the remedy."""

from collections.abc import Sequence

from tf_agents.networks import network as network_lib
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import regrouping
from maml_tf.core import checks
from maml_tf.core import meta_batch


def check_numbers(discount, gae_lambda) -> None:
  """Raises ValueError if a number is out of range."""
  checks.number('discount', discount, minimum=0, maximum=1)
  checks.number('gae_lambda', gae_lambda, minimum=0, maximum=1)


def check_networks(actor_network, value_network) -> None:
  """Raises ValueError unless both are TF-Agents networks and not recurrent.

  The value network may be None.
  """
  for name, network in (
    ('actor_network', actor_network),
    ('value_network', value_network),
  ):
    if network is None:
      continue
    if not isinstance(network, network_lib.Network):
      raise ValueError(f'{name} is {network!r}: give a TF-Agents network')
    if network.state_spec:
      raise ValueError(
        f'Network {network.name} is recurrent: use one without a state,'
        ' such as ActorDistributionNetwork.'
      )


def check_parts(inner_loop, meta_update, meta_objective_class) -> None:
  """Raises ValueError if a part of `MamlAgent` has the wrong type.

  `inner_loop` and `meta_update` may be None.
  """
  checks.function(
    'meta_objective_class', meta_objective_class, 'ProximalObjective'
  )
  for name, part, attribute, example in (
    ('inner_loop', inner_loop, 'run', 'InnerLoop()'),
    ('meta_update', meta_update, 'learning_rate', 'GradientUpdate()'),
  ):
    _check_part(name, part, attribute, example)


def check_values(value_network, value_loss, baseline) -> None:
  """Raises ValueError if the parts that predict returns do not fit together.

  Each may be None.
  """
  _check_part('baseline', baseline, 'fit_predict', 'LinearFeatureBaseline()')
  if value_loss is not None:
    checks.function('value_loss', value_loss, 'ValueLoss()')
  if value_network is None and value_loss is not None:
    raise ValueError('value_loss needs a value_network: give both or neither')
  if value_network is not None and baseline is not None:
    raise ValueError(
      'baseline and value_network both predict returns: give one of them'
    )


def check_weights(weights: types.Tensor | None) -> None:
  """Raises ValueError if weights of tasks are given."""
  if weights is not None:
    raise ValueError('weights are not supported: every task counts alike.')


def check_stages(
  stages: Sequence[trajectory.Trajectory], num_adaptation_steps: int
) -> None:
  """Raises ValueError unless there are X + 1 stages."""
  expected = num_adaptation_steps + 1
  if not isinstance(stages, Sequence):
    raise ValueError(f'stages are not a sequence: give {expected} Trajectories')
  if len(stages) != expected:
    raise ValueError(
      f'{len(stages)} stages were given: give {expected}, collected after 0'
      f' to {num_adaptation_steps} adaptation steps'
    )


def check_meta_batch(
  batch: meta_batch.MetaBatch,
  num_adaptation_steps: int,
  frame_spec: trajectory.Trajectory,
) -> None:
  """Checks that an agent can learn from a meta-batch.

  Args:
    batch: A `MetaBatch`, leaves [B, T, ...]; T may differ between stages.
    num_adaptation_steps: X.
    frame_spec: A `Trajectory` of specs: those of one frame.

  Raises:
    ValueError: Its structure, a shape or a type is wrong.
  """
  if not isinstance(batch, meta_batch.MetaBatch):
    raise ValueError(
      f'a {type(batch).__name__} is not a MetaBatch: give what'
      ' MetaCollector.collect or MamlAgent.meta_batch returned'
    )
  if len(batch.support) != num_adaptation_steps:
    raise ValueError(
      f'the meta-batch has {len(batch.support)} support stages, the agent'
      f' takes {num_adaptation_steps} adaptation steps'
    )
  if len(batch.prepared) not in (0, num_adaptation_steps + 1):
    raise ValueError(
      f'the meta-batch has {len(batch.prepared)} prepared stages: give'
      f' {num_adaptation_steps + 1} or none'
    )
  num_tasks = []
  for number, stage in enumerate((*batch.support, batch.query)):
    stage = regrouping.validate_frames(
      stage, frame_spec, f'stage {number} of the meta-batch'
    )
    num_tasks.append(stage.step_type.shape[0])
  num_tasks += [stage.step_type.shape[0] for stage in batch.prepared]
  if len(set(num_tasks)) > 1:
    raise ValueError(
      f'the stages of the meta-batch have {num_tasks} tasks: give the same'
      ' number everywhere'
    )


def _check_part(name, part, attribute, example):
  checks.no_text(name, part, '()')
  is_part = hasattr(part, attribute) and not isinstance(part, type)
  if part is not None and not is_part:
    raise ValueError(
      f'{name} is {part!r}: give a {name.replace("_", " ")}, such as {example}'
    )
