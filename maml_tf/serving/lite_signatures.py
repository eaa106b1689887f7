"""The functions of a TFLite model: one task, no batch axes, fixed sizes.

They are those of `signatures`, and their tensors have the same names:

  initial_state: -> `state_*`, the state before adaptation.
  act: `observation`, `noise` and a state -> `action`, `policy_info_*`. Noise of
    zeros gives the most probable action. Adaptation learns from actions with
    noise: standard normal, or standard Gumbel for choices.
  adapt: The T frames of a `Trajectory` and a state -> the next state. An
    episode is its transitions and a LAST frame with the final observation;
    frames that are not used are LAST frames.

Where an action has several parts, `noise` has them, too (`noise_grip`).
"""

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.collection import regrouping
from maml_tf.core import lite_operations
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.serving import named_tensors
from maml_tf.serving import signatures

Functions = dict[str, tf.types.experimental.ConcreteFunction]

# The number of steps that the task has adapted.
_STEPS = tf.TensorSpec([], tf.int32, 'state_steps')


def adaptive(agent: maml_agent.MamlAgent, num_frames: int) -> Functions:
  """Returns the functions of a model that adapts, by name.

  Args:
    agent: The agent.
    num_frames: T.
  """
  policy, act = agent.collect_policy, _Act(agent)
  state_spec = _without_tasks(signatures.state_spec(policy))
  frames = named_tensors.name_specs(
    policy.collect_data_spec, outer_shape=[num_frames]
  )

  def name_state(state, steps):
    named = named_tensors.name_leaves(_first(state), state_spec)
    return named | {_STEPS.name: steps}

  def initial_state():
    return name_state(policy.get_initial_state(1), tf.zeros([], tf.int32))

  def adapt(experience, state, steps):
    experience, state = regrouping.stage_and_state(
      *_only_task((experience, state)),
      1,
      policy.collect_data_spec,
      policy.policy_state_spec,
    )
    state = agent.functions.adapt_alone(experience, state, steps[tf.newaxis])
    return name_state(state, steps + 1)

  with lite_operations.required():
    return {
      'initial_state': named_tensors.signature(initial_state),
      'act': named_tensors.signature(
        # A client passes all that the other functions return.
        lambda observation, noise, state, _: act(observation, noise, state),
        *(act.observation_spec, act.noise_spec, state_spec, _STEPS),
      ),
      'adapt': named_tensors.signature(adapt, frames, state_spec, _STEPS),
    }


def fixed_task(
  agent: maml_agent.MamlAgent,
  parameters: inner_loop_lib.Parameters,
  deterministic: bool,
) -> Functions:
  """Returns the function of a model that acts for one task, by name.

  act: `observation` and, unless it is deterministic, `noise` -> `action`,
    `policy_info_*`.

  Args:
    agent: The agent.
    parameters: The task's parameters, without a leading B.
    deterministic: Whether it acts without noise.
  """
  act = _Act(agent)
  noise = tf.nest.map_structure(
    lambda spec: tf.zeros(spec.shape), act.noise_spec
  )
  if deterministic:
    specs = (act.observation_spec,)
  else:
    specs = (act.observation_spec, act.noise_spec)
  with lite_operations.required():
    return {
      'act': named_tensors.signature(
        lambda observation, noise=noise: act(observation, noise, parameters),
        *specs,
      )
    }


class _Act:
  """(observation, noise, state), without batch axes -> named tensors."""

  def __init__(self, agent: maml_agent.MamlAgent):
    self._policy = policy = agent.collect_policy
    self.observation_spec = named_tensors.name_specs(
      policy.time_step_spec.observation, 'observation'
    )
    noise_specs = policy.distributions.noise_specs
    self.noise_spec = named_tensors.name_specs(
      tf.nest.pack_sequence_as(
        policy.action_spec,
        [tf.TensorSpec(spec.shape, tf.float32) for spec in noise_specs],
      ),
      'noise',
    )

  def __call__(self, observation, noise, state) -> named_tensors.Named:
    policy = self._policy
    observation, noise, state = _only_task((observation, noise, state))
    time_step = signatures.middle_of_episode(policy.time_step_spec, observation)
    step = policy.act(time_step, state, tuple(tf.nest.flatten(noise)))
    action_spec = named_tensors.name_specs(policy.action_spec, 'action')
    info_spec = named_tensors.name_specs(policy.info_spec, 'policy_info')
    return named_tensors.name_leaves(
      _first(step.action), action_spec
    ) | named_tensors.name_leaves(_first(step.info), info_spec)


def _without_tasks(spec: types.NestedTensorSpec) -> types.NestedTensorSpec:
  return tf.nest.map_structure(
    lambda s: tf.TensorSpec(s.shape[1:], s.dtype, s.name), spec
  )


def _only_task(nest):
  """Adds the axis of tasks."""
  return tf.nest.map_structure(lambda t: t[tf.newaxis], nest)


def _first(nest):
  """Removes the axis of tasks."""
  return tf.nest.map_structure(lambda t: t[0], nest)
