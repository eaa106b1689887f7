"""A TFPolicy whose state is its parameters."""

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.collection import policy_inputs
from maml_tf.core import action_distributions
from maml_tf.core import observation_normalizer as observation_normalizer_lib
from maml_tf.core import parameters as parameters_lib

Parameters = parameters_lib.Parameters
Noise = tuple[types.TensorOrArray, ...]

_STATE_IS_LOST = (
  "the policy state is zeros, as TF-Agents' wrappers make it at FIRST steps,"
  ' which drops adapted parameters: wrap agent.adapted_policy(parameters), with'
  ' those of one task or agent.meta_parameters, instead of agent.policy'
)


class AdaptedPolicy(tf_policy.TFPolicy):
  """Acts for B tasks, each with its own parameters.

  The policy state is a tuple of parameter tensors, leaves [B, ...]. A time step
  carries N = B * E observations, grouped by task (B = N: one each). Without a
  state, `action` uses the initial parameters. Time step and state may be NumPy
  arrays.

  TF-Agents' wrappers, such as `GreedyPolicy`, replace the state at FIRST steps
  by zeros. A policy `for_wrappers` then acts with its initial parameters; other
  policies refuse a state of zeros, because the adapted parameters are lost.
  """

  def __init__(
    self,
    time_step_spec: ts.TimeStep,
    action_spec: types.NestedTensorSpec,
    network: parameters_lib.ParameterizedNetwork,
    distributions: action_distributions.ActionDistributions,
    initial_parameters: Sequence[tf.Tensor | tf.Variable],
    observation_normalizer: (
      observation_normalizer_lib.ObservationNormalizer | None
    ) = None,
    emit_behaviour: bool = False,
    deterministic: bool = False,
    for_wrappers: bool = False,
    name: str | None = None,
  ):
    """Creates the policy.

    Args:
      time_step_spec: A `TimeStep` of specs, without a batch axis.
      action_spec: A nest of `BoundedTensorSpec`.
      network: The policy network as a function of its parameters.
      distributions: The family of the network's outputs.
      initial_parameters: The initial state, one tensor or variable for each
        parameter, without the leading B: the meta-parameters, or the adapted
        parameters of one task.
      observation_normalizer: Normalises observations before the network sees
        them. None: they are not normalised.
      emit_behaviour: Whether `policy_info` holds the parameters of the
        distribution that the action was drawn from, which training needs.
      deterministic: Whether to act by the distribution's mode.
      for_wrappers: Whether a state of zeros means the initial parameters, as
        for the adapted parameters of one task. If not, it is an error.
      name: The name of the policy.
    """
    # An automatic reset at FIRST steps would wipe the adapted parameters. The
    # action is scored as sampled, so the environment clips it, not the policy.
    super().__init__(
      time_step_spec,
      action_spec,
      policy_state_spec=network.spec,
      info_spec=distributions.tensor_specs if emit_behaviour else (),
      clip=False,
      automatic_state_reset=False,
      name=name,
    )
    self._network = network
    self._distributions = distributions
    self._initial_parameters = policy_inputs.check_parameters(
      initial_parameters, network.spec
    )
    self._observation_normalizer = observation_normalizer
    self._emit_behaviour = emit_behaviour
    self._deterministic = deterministic
    self._for_wrappers = for_wrappers
    # Seeded by tf.random.set_seed; used only where the caller passes no noise.
    seed: Any = tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)
    self._generator = tf.random.Generator.from_seed(seed)

  @property
  def distributions(self) -> action_distributions.ActionDistributions:
    """The family of the action distributions."""
    return self._distributions

  @property
  def widths(self) -> frozenset[int]:
    """How many numbers acting computes for a row, in each layer and action.

    A function without parameters may have another width; none that maml_tf
    makes has.
    """
    noise = self._distributions.noise_specs
    return frozenset(
      [int(p.shape[-1]) for p in self.policy_state_spec if p.shape.rank]
      + [math.prod(part.shape) for part in noise]
    )

  def act(
    self,
    time_step: ts.TimeStep,
    policy_state: Parameters,
    noise: Noise,
  ) -> policy_step.PolicyStep:
    """Acts with the caller's noise.

    Args:
      time_step: A `TimeStep`, leaves [N, ...].
      policy_state: The parameters, leaves [B, ...]; N is a multiple of B.
      noise: One tensor [N, *shape] for each of `distributions.noise_specs`.

    Returns:
      A `PolicyStep`, leaves [N, ...].
    """
    step = self.distribution_step(time_step, policy_state)
    if self._deterministic:
      action = action_distributions.mode(step.action)
    else:
      action = self._distributions.sample(step.action, noise)
    return step._replace(action=action)

  def distribution_step(
    self, time_step: ts.TimeStep, policy_state: Any
  ) -> policy_step.PolicyStep:
    """Returns the distributions; unlike `distribution`, takes only tensors.

    Args:
      time_step: A `TimeStep`, leaves [N, ...].
      policy_state: The parameters, leaves [B, ...], which are used even if they
        are zeros; (): the initial parameters.

    Returns:
      A `PolicyStep`, whose action is a nest of distributions.
    """
    if not policy_state:
      policy_state = self._get_initial_state(1)
    policy_inputs.check_time_step(time_step, self.time_step_spec)
    policy_inputs.check_policy_state(
      policy_state, self.policy_state_spec, time_step
    )
    tensors = self._per_task_distributions(time_step, policy_state)
    info = tensors if self._emit_behaviour else ()
    return policy_step.PolicyStep(
      self._distributions.from_tensors(tensors), policy_state, info
    )

  def _get_initial_state(self, batch_size):
    if batch_size is None:
      return tuple(tf.convert_to_tensor(p) for p in self._initial_parameters)
    return tuple(
      tf.broadcast_to(p, tf.concat([[batch_size], tf.shape(p)], axis=0))
      for p in self._initial_parameters
    )

  def _variables(self):
    variables = self._network.variables_tuple
    if self._observation_normalizer:
      variables = (*variables, *self._observation_normalizer.variables)
    return variables

  def _distribution(self, time_step, policy_state: Any):
    return self.distribution_step(*self._receive(time_step, policy_state))

  def _per_task_distributions(self, time_step, policy_state):
    """Evaluates the network, parameters [B, ...], observations [N, ...]."""
    num_tasks = _size(policy_state[0])
    per_task = _size(time_step.step_type) // num_tasks
    observation = time_step.observation
    if self._observation_normalizer:
      observation = self._observation_normalizer.normalize(observation)
    observation, step_type = tf.nest.map_structure(
      lambda t: _reshape(t, [num_tasks, per_task], skip=1),
      (observation, time_step.step_type),
    )
    tensors = tf.vectorized_map(
      lambda task: self._evaluate(*task),
      (policy_state, observation, step_type),
    )
    return tf.nest.map_structure(
      lambda t: _reshape(t, [num_tasks * per_task], skip=2), tensors
    )

  def _evaluate(self, parameters, observation, step_type):
    distribution, _ = self._network(
      parameters, observation, step_type=step_type, network_state=()
    )
    return self._distributions.to_tensors(distribution)

  def _receive(self, time_step, policy_state):
    """Returns tensors, in place of arrays and of states that were reset."""
    time_step = time_step._replace(
      observation=policy_inputs.to_tensors(
        'the observation',
        time_step.observation,
        self.time_step_spec.observation,
      ),
      step_type=policy_inputs.to_tensors(
        'step_type', time_step.step_type, self.time_step_spec.step_type
      ),
    )
    policy_inputs.check_time_step(time_step, self.time_step_spec)
    if not policy_state:
      return time_step, policy_state
    policy_state = policy_inputs.to_tensors(
      'the policy state', policy_state, self.policy_state_spec
    )
    policy_inputs.check_policy_state(
      policy_state, self.policy_state_spec, time_step
    )
    return time_step, self._without_resets(policy_state)

  def _without_resets(self, policy_state):
    """Replaces states of zeros by the initial parameters, or refuses them."""
    if tf.executing_eagerly() and not np.any(_are_zeros(policy_state[:1])):
      return policy_state
    is_reset = _are_zeros(policy_state)
    if self._for_wrappers:
      return tuple(
        tf.where(
          tf.reshape(is_reset, [-1] + [1] * (p.shape.rank - 1)), initial, p
        )
        for initial, p in zip(self._initial_parameters, policy_state)
      )
    # A network may have parameters that are all 0.
    initial = _are_zeros(self._get_initial_state(1))
    is_lost = tf.reduce_any(is_reset) & ~initial[0]
    if not tf.executing_eagerly():
      tf.debugging.Assert(~is_lost, [_STATE_IS_LOST])
    elif is_lost:
      raise ValueError(_STATE_IS_LOST)
    return policy_state

  def _action(self, time_step, policy_state: Any, seed=None):
    time_step, policy_state = self._receive(time_step, policy_state)
    noise = self._distributions.random_noise(
      _size(time_step.step_type), self._generator, seed
    )
    return self.act(time_step, policy_state, noise)


def act_batch_invariant(
  policy: AdaptedPolicy,
  time_step: ts.TimeStep,
  policy_state: Parameters,
  noise: Noise,
) -> policy_step.PolicyStep:
  """Acts with the same bits however many tasks act together.

  Args:
    policy: The policy.
    time_step: As for `AdaptedPolicy.act`, without reward and discount.
    policy_state: As for `AdaptedPolicy.act`.
    noise: As for `AdaptedPolicy.act`.

  Returns:
    A `PolicyStep` without a state: acting does not change the state.
  """
  is_lone_task = bool(policy_state) and policy_state[0].shape[0] == 1
  if is_lone_task:
    # TensorFlow has another kernel for a single matrix product than for a batch
    # of them, so a lone task acts in a batch of two copies.
    time_step, policy_state, noise = tf.nest.map_structure(
      lambda t: tf.concat([t, t], axis=0), (time_step, policy_state, noise)
    )
  step = policy.act(time_step, policy_state, noise)._replace(state=())
  if is_lone_task:
    step = tf.nest.map_structure(lambda t: t[: t.shape[0] // 2], step)
  return step


def _are_zeros(policy_state):
  """Returns which of B states are zeros everywhere, a bool tensor [B]."""
  return tf.reduce_all(
    [
      tf.reduce_all(tf.equal(p, 0), axis=list(range(1, p.shape.rank)))
      for p in policy_state
    ],
    axis=0,
  )


def _size(tensor):
  """The leading dimension: an int where it is known, else a tensor."""
  size = tf.compat.dimension_value(tensor.shape[0])
  return tf.shape(tensor)[0] if size is None else size


def _reshape(tensor, outer_shape, skip):
  """Replaces the first `skip` axes by `outer_shape`."""
  return tf.reshape(tensor, [*outer_shape, *tensor.shape[skip:]])
