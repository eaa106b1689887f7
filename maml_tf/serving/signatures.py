"""The signatures of a SavedModel, for clients with TensorFlow alone.

Signatures take and return named tensors:

  observation, action: One tensor, or one per part (`observation_position`).
  policy_info_*: The parameters of the distribution that the action was drawn
    from.
  state_*: The state. `initial_state` returns the first one, `adapt` takes one
    and returns the next, and `act_adapted` takes one.
"""

from collections.abc import Callable

import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.serving import named_tensors
from maml_tf.serving import served_policy

# The number of steps that each task has adapted: learned step sizes may depend
# on it.
_STEPS = tf.TensorSpec([None], tf.int32, 'state_steps')

State = tuple[types.Tensor, ...]
AdaptFn = Callable[[trajectory.Trajectory, State, types.Tensor], State]


def state_spec(policy: tf_policy.TFPolicy) -> tuple[tf.TensorSpec, ...]:
  """Returns the specs of the policy state, [B, ...], as signatures name it."""
  # Number the tensors: Keras' names depend on what the process built before.
  return named_tensors.name_specs(policy.policy_state_spec, 'state', [None])


def adaptive(
  policy: served_policy.ServedPolicy, adapt: AdaptFn
) -> dict[str, tf.types.experimental.ConcreteFunction]:
  """Returns the signatures of a model that adapts.

  initial_state: `batch_size` B -> the state of B tasks before adaptation.
  serving_default: `observation` [N, ...] -> `action`, `policy_info_*` and, if
    the distributions have a mode, `deterministic_action`, before adaptation.
  act_adapted: `observation` [N, ...] and a state of B tasks -> the same tensors
    after adaptation. N is a multiple of B; the rows are grouped by task.
  adapt: The frames of a `Trajectory` [N, T, ...] and a state -> the next state.

  Args:
    policy: The policy to save. It emits the info that `adapt` needs.
    adapt: (experience, policy state, steps so far [B]) -> policy state.
  """
  act = _act_fn(policy)
  specs = state_spec(policy)
  frames = named_tensors.name_specs(
    policy.collect_data_spec, outer_shape=[None, None]
  )
  observation = _observation_spec(policy)

  def name_state(state, steps):
    named = named_tensors.name_leaves(state, specs)
    return named | {_STEPS.name: steps}

  def initial_state(batch_size):
    return name_state(
      policy.get_initial_state(batch_size), tf.zeros([batch_size], tf.int32)
    )

  def adapted(experience, state, steps):
    experience = _same_sizes(experience, frames, 2)
    state, steps = _same_sizes((state, steps), (specs, _STEPS), 1)
    experience = _rows_of_tasks(experience, steps)
    return name_state(adapt(experience, state, steps), steps + 1)

  def act_adapted(observation, state, steps):
    state, steps = _same_sizes((state, steps), (specs, _STEPS), 1)
    return act(_rows_of_tasks(observation, steps), state)

  return {
    'initial_state': named_tensors.signature(
      initial_state, tf.TensorSpec([], tf.int32, 'batch_size')
    ),
    'serving_default': named_tensors.signature(
      lambda observation: act(observation, policy.get_initial_state(1)),
      observation,
    ),
    'act_adapted': named_tensors.signature(
      act_adapted,
      observation,
      specs,
      _STEPS,
    ),
    'adapt': named_tensors.signature(adapted, frames, specs, _STEPS),
  }


def fixed_task(
  policy: served_policy.ServedPolicy,
) -> dict[str, tf.types.experimental.ConcreteFunction]:
  """Returns the signature of a policy without a state.

  serving_default: `observation` [N, ...] -> `action`.

  Args:
    policy: The policy to save.
  """
  action_spec = named_tensors.name_specs(policy.action_spec, 'action')
  info_spec = named_tensors.name_specs(policy.info_spec, 'policy_info')
  observation_spec = _observation_spec(policy)

  def act(observation):
    observation = _same_sizes(observation, observation_spec, 1)
    time_step = middle_of_episode(policy.time_step_spec, observation)
    step = policy.action(time_step)
    named = named_tensors.name_leaves(step.action, action_spec)
    return named | named_tensors.name_leaves(step.info, info_spec)

  return {'serving_default': named_tensors.signature(act, observation_spec)}


def _observation_spec(policy):
  return named_tensors.name_specs(
    policy.time_step_spec.observation, 'observation', [None]
  )


def _act_fn(policy):
  """Returns a function (observation, state) -> named actions and info."""
  observation_spec = _observation_spec(policy)
  action_spec = named_tensors.name_specs(policy.action_spec, 'action')
  mode_spec = named_tensors.name_specs(
    policy.action_spec, 'deterministic_action'
  )
  info_spec = named_tensors.name_specs(policy.info_spec, 'policy_info')

  def act(observation, state):
    observation = _same_sizes(observation, observation_spec, 1)
    time_step = middle_of_episode(policy.time_step_spec, observation)
    step = policy.step(time_step, state)
    named = named_tensors.name_leaves(step.action, action_spec)
    named |= named_tensors.name_leaves(step.info, info_spec)
    if step.mode is not None:
      named |= named_tensors.name_leaves(step.mode, mode_spec)
    return named

  return act


def middle_of_episode(
  spec: ts.TimeStep, observation: types.NestedTensor
) -> ts.TimeStep:
  """Returns a `TimeStep` with these observations, in the middle of episodes.

  Args:
    spec: A `TimeStep` of specs, without a batch axis.
    observation: A nest of tensors [N, ...].
  """
  num = tf.shape(tf.nest.flatten(observation)[0])[:1]
  return ts.TimeStep(
    step_type=tf.fill(num, ts.StepType.MID),
    reward=tf.zeros(num, spec.reward.dtype),
    discount=tf.ones(num, spec.discount.dtype),
    observation=observation,
  )


def _same_sizes(nest, spec, num_axes):
  """Raises an error unless all tensors have the same leading axes."""
  (name, first), *others = named_tensors.name_leaves(nest, spec).items()
  return _after(
    [
      tf.debugging.assert_equal(
        tf.shape(tensor)[:num_axes],
        tf.shape(first)[:num_axes],
        message=f'{other} and {name} have different leading sizes',
      )
      for other, tensor in others
    ],
    nest,
  )


def _rows_of_tasks(nest, steps):
  """Raises an error unless the number of rows is a multiple of the tasks'."""
  rows = tf.shape(tf.nest.flatten(nest)[0])[0]
  check = tf.debugging.assert_equal(
    rows % tf.size(steps),
    0,
    message='the number of observations is not a multiple of the number of'
    ' tasks',
  )
  return _after([check], nest)


def _after(checks, nest):
  with tf.control_dependencies(checks):
    return tf.nest.map_structure(tf.identity, nest)
