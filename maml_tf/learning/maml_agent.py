"""The TFAgent: joins networks, inner loop and outer loss; owns theta."""

from collections.abc import Callable
from collections.abc import Sequence
import functools

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network as network_lib
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.collection import regrouping
from maml_tf.core import checks
from maml_tf.core import meta_batch as meta_batch_lib
from maml_tf.core import observation_normalizer
from maml_tf.core import parameters as parameters_lib
from maml_tf.core import replicas
from maml_tf.learning import agent_policies
from maml_tf.learning import argument_checks
from maml_tf.learning import baselines
from maml_tf.learning import finite_updates
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import loss_info
from maml_tf.learning import meta_objectives
from maml_tf.learning import meta_problem as meta_problem_lib
from maml_tf.learning import meta_updates
from maml_tf.learning import network_checks
from maml_tf.learning import one_task
from maml_tf.learning import placement as placement_lib
from maml_tf.learning import policy_parameters
from maml_tf.learning import task_functions

MamlLossInfo = loss_info.MamlLossInfo
_ObjectiveFn = Callable[..., meta_objectives.MetaObjective]


@gin.configurable(
  denylist=[
    'time_step_spec',
    'action_spec',
    'actor_network',
    'value_network',
    'train_step_counter',
  ]
)
class MamlAgent(tf_agent.TFAgent):
  """Model-agnostic meta-learning for policies (arXiv:1703.03400).

  `train` takes a `MetaBatch`. `policy` and `collect_policy` are
  `AdaptedPolicy`s; their initial state is the meta-parameters. `adapt` returns
  the next state, and `adapted_policy` makes a policy from a state.

  By default TensorFlow rounds the factors of float32 products on GPUs, to TF32,
  and on TPUs. On an H200 that put the meta-gradient 6.2e-4 off, and ten steps
  6.1e-3, without it 2e-6. So an agent that learns on one of them sets
  TensorFlow's switch by `allow_tf32`. It is one for the whole process: the last
  agent decides, also for other models of a program.
  """

  def __init__(
    self,
    time_step_spec: ts.TimeStep,
    action_spec: types.NestedTensorSpec,
    actor_network: network_lib.Network,
    value_network: network_lib.Network | None = None,
    inner_loop: inner_loop_lib.InnerLoop | None = None,
    meta_objective_class: _ObjectiveFn = meta_objectives.ProximalObjective,
    meta_update: meta_updates.MetaUpdate | None = None,
    baseline: baselines.Baseline | None = None,
    value_loss: baselines.ValueLoss | None = None,
    discount: float = 0.99,
    gae_lambda: float = 1.0,
    normalize_observations: bool = False,
    task_chunk_size: int | str | None = None,
    jit_compile: bool | None = None,
    allow_tf32: bool = False,
    train_step_counter: tf.Variable | None = None,
    name: str | None = None,
  ):
    """Creates the agent.

    Args:
      time_step_spec: A `TimeStep` of specs, without a batch axis.
      action_spec: A nest of `BoundedTensorSpec`.
      actor_network: A `DistributionNetwork` without recurrent state.
      value_network: Predicts returns in place of a baseline. It adapts and is
        meta-learned with the policy, and may share the policy's layers.
      inner_loop: The adaptation to a task. None: `InnerLoop`.
      meta_objective_class: Makes the outer loss, given X.
      meta_update: Changes theta. None: `GradientUpdate` with Adam(1e-3).
      baseline: The advantages' baseline. None: `LinearFeatureBaseline`.
      value_loss: The value network's loss. None: `ValueLoss`.
      discount: gamma.
      gae_lambda: lambda.
      normalize_observations: Whether networks and baseline see observations
        normalised by an `ObservationNormalizer`.
      task_chunk_size: The most tasks to vectorise together; 'all'; or None: one
        on a CPU, on a GPU or TPU all that its memory holds. See `task_memory`.
      jit_compile: Whether XLA compiles the functions that loop over tasks; or
        None: not on a CPU, but on a GPU or TPU.
      allow_tf32: Whether a GPU or TPU may round the factors of products, see
        the class. It is set for the whole process.
      train_step_counter: Counts calls of `train`. None: the global step.
      name: The name of the agent.

    Raises:
      ValueError: An argument is wrong or lacks another that it needs.
    """
    tf.Module.__init__(self, name=name)
    argument_checks.check_numbers(discount, gae_lambda)
    placement_lib.check(task_chunk_size, jit_compile, allow_tf32)
    networks = (actor_network, value_network)
    argument_checks.check_networks(*networks)
    argument_checks.check_parts(inner_loop, meta_update, meta_objective_class)
    argument_checks.check_values(value_network, value_loss, baseline)
    specs = (time_step_spec, action_spec)
    self._inner_loop = inner_loop or inner_loop_lib.InnerLoop()
    self._network = parameters_lib.ParameterizedNetwork(*networks)
    self._distributions = network_checks.check_networks(*networks, *specs)
    self._inner_loop.build(self._network.variables_tuple)
    self._create_update(meta_update, meta_objective_class)
    self._normalizer = observation_normalizer.create(
      time_step_spec.observation, normalize_observations
    )
    task = self._one_task(value_network, value_loss)
    self._functions = task_functions.TaskFunctions(
      *(task, baseline or baselines.LinearFeatureBaseline(), self._normalizer),
      *(discount, gae_lambda),
      placement_lib.decide(task, task_chunk_size, jit_compile, allow_tf32),
    )
    self._policies = agent_policies.AgentPolicies(
      *specs, self._network, self._distributions, self._normalizer
    )
    super().__init__(
      *specs,
      train_step_counter=train_step_counter,
      **self._policies.arguments(self.num_adaptation_steps),
    )

  @property
  def num_adaptation_steps(self) -> int:
    """X, the number of adaptation steps."""
    return self._inner_loop.num_steps

  @property
  def jit_compile(self) -> bool:
    """Whether XLA compiles the functions that loop over tasks."""
    return self._functions.placement.jit_compile

  @property
  def fixed_step_size(self) -> float | None:
    """The inner loop's step size; None if the step sizes are learned."""
    return self._inner_loop.fixed_step_size

  @property
  def theta(self) -> inner_loop_lib.Theta:
    """The meta-parameters: variables of the networks and the inner loop."""
    return inner_loop_lib.Theta(
      tuple(self._network.variables_tuple),
      tuple(self._inner_loop.variables_tuple),
    )

  @property
  def meta_parameters(self) -> tuple[tf.Variable, ...]:
    """The variables of theta as a flat tuple."""
    return tuple(tf.nest.flatten(self.theta))

  @property
  def training_variables(self) -> tuple[tf.Variable, ...]:
    """All variables that `train` changes, except its counter."""
    normalizer = self._normalizer
    return (
      *self.meta_parameters,
      *self._update.variables_tuple,
      self._objective.kl_coefficients,
      *(normalizer.variables_tuple if normalizer else ()),
    )

  @property
  def objective(self) -> meta_objectives.MetaObjective:
    """The outer loss, which owns the coefficients of the inner KL."""
    return self._objective

  @property
  def normalizer(self) -> observation_normalizer.ObservationNormalizer | None:
    """The normaliser of the observations; None if they are not normalised."""
    return self._normalizer

  @property
  def placement(self) -> placement_lib.Placement:
    """Where and how the functions of tasks are computed."""
    return self._functions.placement

  @property
  def functions(self) -> task_functions.TaskFunctions:
    """The functions of one task, also vectorised over all tasks."""
    return self._functions

  def prepare(
    self,
    experience: trajectory.Trajectory,
    policy_state: inner_loop_lib.Parameters = (),
  ) -> meta_batch_lib.Stage:
    """Prepares a stage for adaptation and for the outer loss.

    Args:
      experience: A `Trajectory` [B, T, ...] collected by `collect_policy`.
      policy_state: The parameters that acted, leaves [B, ...]. Only a value
        network uses them.
    """
    return self._functions.preparation.prepare(experience, policy_state)

  def adapt(
    self,
    experience: trajectory.Trajectory | meta_batch_lib.Stage,
    policy_state: inner_loop_lib.Parameters,
    step: types.Int = 0,
    step_size: float | None = None,
    num_tasks: int | None = None,
  ) -> inner_loop_lib.Parameters:
    """Takes one adaptation step for every task.

    Args:
      experience: A `Trajectory` [B, T, ...] collected by `collect_policy`; or
        the rows [N, T', ...] of a stock driver's buffer, see `regrouping`; or
        the `Stage` that `prepare` returned.
      policy_state: The parameters that acted, leaves [B, ...]; or [N, ...],
        equal for all rows of a task.
      step: The index of the step, from 0, on which learned step sizes may
        depend. An integer, or an integer tensor [B].
      step_size: A number that replaces the inner loop's step sizes.
      num_tasks: B. None: the number of parameter sets in the policy state.

    Returns:
      The new policy state, leaves [B, ...].

    Raises:
      ValueError: The step size is not positive, or a shape is not as above.
      finite_checks.NonFiniteError: A task's new parameters are not finite. In a
        `tf.function` nothing is raised; other tasks' parameters stay finite.
    """
    if not tf.is_tensor(step):
      step = checks.integer('step', step, 0)
    if isinstance(experience, meta_batch_lib.Stage):
      stage = experience
    else:
      experience, policy_state = regrouping.stage_and_state(
        experience,
        policy_state,
        num_tasks,
        self.collect_data_spec,
        self.collect_policy.policy_state_spec,
      )
      stage = self.prepare(experience, policy_state)
    if step_size is not None:
      dtype = policy_state[0].dtype
      step_size = tf.constant(
        checks.number('step_size', step_size, above=0, maximum=dtype.max), dtype
      )
    adapted = self._functions.inner_loop.step(
      stage, policy_state, step, step_size
    )
    if tf.executing_eagerly():
      finite_updates.check_policy_state(adapted)
    return adapted

  def meta_batch(
    self, stages: Sequence[trajectory.Trajectory], num_tasks: int
  ) -> meta_batch_lib.MetaBatch:
    """Makes the input of `train` from data of stock drivers and buffers.

    Args:
      stages: X + 1 `Trajectory`s [N, T', ...] as for `adapt`, the last one
        collected by the adapted policy. `train` compiles anew for each new T'.
      num_tasks: B, which divides N.

    Raises:
      ValueError: The number of stages or a shape is wrong.
    """
    argument_checks.check_stages(stages, self.num_adaptation_steps)
    *support, query = (
      regrouping.group_by_task(stage, num_tasks, self.collect_data_spec)
      for stage in stages
    )
    return meta_batch_lib.MetaBatch(tuple(support), query)

  def check_meta_batch(self, batch: meta_batch_lib.MetaBatch) -> None:
    """Raises ValueError unless `train` can learn from a meta-batch."""
    argument_checks.check_meta_batch(
      batch, self.num_adaptation_steps, self.collect_data_spec
    )

  def adapted_policy(
    self, parameters: inner_loop_lib.Parameters, deterministic: bool = False
  ) -> adapted_policy.AdaptedPolicy:
    """Returns a policy that acts with one task's parameters, without a B axis.

    A deterministic policy acts by the mode. TF-Agents' wrappers keep its state.
    """
    return self._policies.create(
      parameters, deterministic=deterministic, for_wrappers=True
    )

  def meta_problem(
    self, batch: meta_batch_lib.MetaBatch
  ) -> meta_problem_lib.MetaProblem:
    """Returns a `MetaBatch` of this replica's tasks as functions of theta."""
    self.check_meta_batch(batch)
    num_tasks = batch.query.reward.shape[0] or tf.shape(batch.query.reward)[0]
    return self._functions.meta_problem(
      batch,
      self.collect_policy.get_initial_state(num_tasks),
      self._objective.kl_coefficients,
    )

  def _create_update(self, meta_update, meta_objective_class):
    self._update = meta_update or meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3)
    )
    policy_parameters.build(self._update, self._network, self._inner_loop)
    self._objective = meta_objective_class(self.num_adaptation_steps)
    uncounted = functools.partial(self._train, counts=False)
    step = tf.function(uncounted, autograph=False, jit_compile=True)
    self._train_uncounted = functools.partial(step)  # Checkpoints follow it.

  def _one_task(self, value_network, value_loss):
    if value_network is not None:
      value_loss = value_loss or baselines.ValueLoss()
    return one_task.OneTask(
      self._network,
      self._distributions,
      self._inner_loop,
      self._objective,
      value_loss,
    )

  def _train(
    self,
    experience: meta_batch_lib.MetaBatch,
    weights: types.Tensor | None = None,
    counts: bool = True,
  ) -> tf_agent.LossInfo:
    argument_checks.check_weights(weights)
    # The means between replicas are not part of XLA's programs.
    if counts and self.jit_compile and replicas.count() == 1:
      info = self._train_uncounted(experience)
      # On the CPU, where an accelerator's program cannot change it.
      self.train_step_counter.assign_add(1)
      return info
    before = [tf.identity(v) for v in self.training_variables]
    problem = self.meta_problem(experience)
    info = self._update(self.theta, problem)
    # Measure after the update: before it the KL of the first step is 0.
    theta = tf.nest.map_structure(tf.identity, self.theta)
    inner_kl = problem.inner_kl(theta)
    self._objective.update_kl_coefficients(inner_kl)
    if self._normalizer:
      self._normalizer.update(*meta_batch_lib.valid_observations(experience))
    stages = (*problem.batch.support, problem.batch.query)
    predicted = finite_updates.finite_tasks([s.baseline_error for s in stages])
    finite_tasks = replicas.gather(
      finite_updates.in_all([predicted, info.finite_tasks])
    )
    is_taken = finite_updates.restore_unless_finite(
      self.training_variables,
      before,
      finite_tasks,
      (info.metrics, info.gradient_norm, inner_kl),
    )
    if counts:
      self.train_step_counter.assign_add(1)
    return loss_info.report(problem, info, inner_kl, finite_tasks, is_taken)

  def _loss(
    self,
    experience: meta_batch_lib.MetaBatch,
    weights: types.Tensor | None = None,
    training: bool = False,
  ) -> tf_agent.LossInfo:
    argument_checks.check_weights(weights)
    problem = self.meta_problem(experience)
    theta = tf.nest.map_structure(tf.identity, self.theta)
    task_loss, gradient, finite_tasks = problem.gradient(theta)
    info = meta_updates.UpdateInfo(
      task_loss,
      tf.linalg.global_norm(tf.nest.flatten(gradient)),
      self._update.learning_rate,
      finite_tasks,
    )
    return loss_info.report(
      problem,
      info,
      task_loss.terms.inner_kl,
      replicas.gather(finite_tasks),
      is_taken=tf.zeros([]),
    )
