"""The TFAgent: joins networks, inner loop and outer loss; owns theta."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network as network_lib
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.collection import regrouping
from maml_tf.core import action_distributions
from maml_tf.core import checks
from maml_tf.core import finite_checks
from maml_tf.core import meta_batch as meta_batch_lib
from maml_tf.core import observation_normalizer
from maml_tf.core import parameters as parameters_lib
from maml_tf.core import replicas
from maml_tf.learning import advantages
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives
from maml_tf.learning import meta_updates
from maml_tf.learning import one_task
from maml_tf.learning import task_map


class MamlLossInfo(NamedTuple):
  """The parts of the meta-loss, means over all tasks.

  Attributes:
    policy_loss: Minus the outer surrogate.
    vf_loss: Mean squared error of the baseline on the query stage.
    entropy: Of the adapted policy on the query stage, nats.
    kl: KL(behaviour || adapted policy) on the query stage, nats.
    inner_kl: A tensor [X]: KL(behaviour || policy before the step) on each
      support stage, nats; after `train`, under the new meta-parameters.
    kl_coefficient: A tensor [X]: what weighed the inner KL.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
    gradient_norm: Global norm of the meta-gradient, before clipping.
    learning_rate: The outer optimizer's; of a trust region, what the direction
      was multiplied by.
    finite_tasks: A tensor [B], over all replicas: 1 where the task's baseline
      errors, and its loss and meta-gradient at every optimizer step, were
      finite, else 0.
    is_taken: 1; 0 where one of a task's numbers, of these means or of what
      became of the parameters is not finite: then `train` has changed nothing
      but the step counter.
  """

  policy_loss: types.Tensor
  vf_loss: types.Tensor
  entropy: types.Tensor
  kl: types.Tensor
  inner_kl: types.Tensor
  kl_coefficient: types.Tensor
  inner_loss: types.Tensor
  gradient_norm: types.Tensor
  learning_rate: types.Tensor
  finite_tasks: types.Tensor
  is_taken: types.Tensor


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
  `AdaptedPolicy`s whose initial state is the meta-parameters; `adapt` makes a
  state from a trajectory, and `adapted_policy` a policy from a state.
  """

  def __init__(
    self,
    time_step_spec: ts.TimeStep,
    action_spec: types.NestedTensorSpec,
    actor_network: network_lib.Network,
    value_network: network_lib.Network | None = None,
    inner_loop: inner_loop_lib.InnerLoop | None = None,
    meta_objective_class: Callable[
      ..., meta_objectives.MetaObjective
    ] = meta_objectives.ProximalObjective,
    meta_update: meta_updates.MetaUpdate | None = None,
    baseline: advantages.Baseline | None = None,
    value_loss: advantages.ValueLoss | None = None,
    discount: float = 0.99,
    gae_lambda: float = 1.0,
    normalize_observations: bool = False,
    task_chunk_size: int | None = 1,
    jit_compile: bool = False,
    train_step_counter: tf.Variable | None = None,
    name: str | None = None,
  ):
    """Creates the agent.

    Args:
      time_step_spec: A `TimeStep` of specs, without a batch axis.
      action_spec: A nest of `BoundedTensorSpec`.
      actor_network: A `DistributionNetwork` without recurrent state.
      value_network: Predicts returns in place of a baseline, and is adapted and
        meta-learned along with the policy; it may share layers with it. None:
        the baseline predicts.
      inner_loop: How a task is adapted to. None: `InnerLoop`.
      meta_objective_class: Makes the outer loss, given X.
      meta_update: What changes the meta-parameters. None: `GradientUpdate`
        with Adam and a learning rate of 1e-3.
      baseline: Of the advantages. None: `LinearFeatureBaseline`.
      value_loss: Of the value network. None: `ValueLoss`.
      discount: gamma.
      gae_lambda: lambda.
      normalize_observations: Whether networks and baseline see observations
        normalised by the mean and variance of all that were trained on.
      task_chunk_size: How many tasks are vectorised together, see `task_map`.
      jit_compile: Whether XLA compiles the functions that loop over tasks.
      train_step_counter: Counts calls of `train`. None: the global step.
      name: The name of the agent.

    Raises:
      ValueError: An argument is impossible or lacks another that it needs.
    """
    tf.Module.__init__(self, name=name)
    checks.number('discount', discount, minimum=0, maximum=1)
    checks.number('gae_lambda', gae_lambda, minimum=0, maximum=1)
    if task_chunk_size is not None:
      checks.integer('task_chunk_size', task_chunk_size, 1)
    checks.boolean('normalize_observations', normalize_observations)
    checks.boolean('jit_compile', jit_compile)
    checks.function(
      'meta_objective_class', meta_objective_class, 'ProximalObjective'
    )
    _check_parts(
      actor_network,
      value_network,
      inner_loop,
      meta_update,
      baseline,
      value_loss,
    )
    self._inner_loop = inner_loop or inner_loop_lib.InnerLoop()
    self._num_adaptation_steps = self._inner_loop.num_steps
    self._network = parameters_lib.ParameterizedNetwork(
      actor_network, value_network
    )
    self._inner_loop.build(self._network.variables_tuple)
    self._distributions = action_distributions.ActionDistributions(
      _example_output(actor_network, time_step_spec)
    )
    self._update = meta_update or meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3)
    )
    self._update.build(self.meta_parameters)
    self._objective = meta_objective_class(self._num_adaptation_steps)
    self._has_values = value_network is not None
    self._task = one_task.OneTask(
      self._network,
      self._distributions,
      self._inner_loop,
      self._objective,
      (value_loss or advantages.ValueLoss()) if self._has_values else None,
    )
    self._baseline = baseline or advantages.LinearFeatureBaseline()
    self._discount = discount
    self._gae_lambda = gae_lambda
    self._normalizer = (
      observation_normalizer.ObservationNormalizer(time_step_spec.observation)
      if normalize_observations
      else None
    )
    self._task_chunk_size = task_chunk_size
    self._jit_compile = jit_compile
    compiled = functools.partial(
      tf.function, autograph=False, jit_compile=jit_compile
    )
    self._prepare_stage_fn = compiled(self._prepare_stage)
    self._adapt_fn = compiled(self._adapt_tasks)
    # XLA cannot compile scans over frames whose number an exported model's
    # client decides.
    self._prepare_any_length_fn, self._adapt_any_length_fn = (
      tf.function(fn, autograph=False)
      for fn in (self._prepare_stage, self._adapt_tasks)
    )
    self._meta_gradient_fn = compiled(self._mean_of(self._task.meta_gradient))
    self._inner_kl_fn = compiled(self._mean_of(self._task.inner_kl))
    self._task_loss_fn = compiled(self._mean_of(self._task.loss))
    self._kl_product_fn = compiled(self._mean_of(self._task.kl_hvp))
    self._displacement_fn = compiled(
      self._mean_of(self._task.reptile_direction)
    )

    policy, collect_policy = (
      adapted_policy.AdaptedPolicy(
        time_step_spec,
        action_spec,
        self._network,
        self._distributions,
        self._network.variables_tuple,
        observation_normalizer=self._normalizer,
        emit_behaviour=emit_behaviour,
      )
      for emit_behaviour in (False, True)
    )
    stage_spec = collect_policy.collect_data_spec
    super().__init__(
      time_step_spec,
      action_spec,
      policy,
      collect_policy,
      train_sequence_length=None,
      training_data_spec=meta_batch_lib.MetaBatch(
        (stage_spec,) * self._num_adaptation_steps, stage_spec
      ),
      train_step_counter=train_step_counter,
    )

  @property
  def num_adaptation_steps(self) -> int:
    """X."""
    return self._num_adaptation_steps

  @property
  def jit_compile(self) -> bool:
    """Whether XLA compiles the functions that loop over tasks."""
    return self._jit_compile

  @property
  def fixed_step_size(self) -> float | None:
    """The inner loop's step size; None if it learns its step sizes."""
    return self._inner_loop.fixed_step_size

  @property
  def meta_parameters(self) -> tuple[tf.Variable, ...]:
    """theta: what is trained, the networks' and the inner loop's variables."""
    return self._network.variables_tuple + self._inner_loop.variables_tuple

  @property
  def training_variables(self) -> tuple[tf.Variable, ...]:
    """All that `train` changes but its counter."""
    normalizer = self._normalizer
    return (
      *self.meta_parameters,
      *self._update.variables_tuple,
      self._objective.kl_coefficients,
      *(normalizer.variables_tuple if normalizer else ()),
    )

  def adapt(
    self,
    experience: trajectory.Trajectory,
    policy_state: inner_loop_lib.Parameters,
    step: types.Int = 0,
    step_size: float | None = None,
    num_tasks: int | None = None,
  ) -> inner_loop_lib.Parameters:
    """Takes one adaptation step for every task.

    Args:
      experience: A `Trajectory` [B, T, ...] collected by `collect_policy`, or
        the rows [N, T', ...] of a stock driver's buffer, see `regrouping`.
      policy_state: Its parameters then, leaves [B, ...]; or [N, ...], the same
        for all rows of a task.
      step: Which step it is, from 0: learned step sizes may differ. A number,
        or an integer tensor [B].
      step_size: A number to be used instead of the inner loop's own sizes.
      num_tasks: B. None: as many as the policy state has parameter sets.

    Returns:
      The new policy state, leaves [B, ...].

    Raises:
      ValueError: The step size is not positive, or a shape is not as above.
      finite_checks.NonFiniteError: A task's new parameters are not finite. A
        `tf.function` raises nothing: that task's hold NaN, others' do not.
    """
    if not tf.is_tensor(step):
      step = checks.integer('step', step, 0)
    experience, policy_state = regrouping.stage_and_state(
      experience,
      policy_state,
      num_tasks,
      self.collect_data_spec,
      self.collect_policy.policy_state_spec,
    )
    if step_size is not None:
      step_size = tf.constant(
        checks.number(
          'step_size', step_size, above=0, maximum=policy_state[0].dtype.max
        ),
        policy_state[0].dtype,
      )
    stage = self._prepare(experience, policy_state)
    adapted = self._adapt_prepared(stage, policy_state, step, step_size)
    if tf.executing_eagerly():
      _check_finite(adapted)
    return adapted

  def meta_batch(
    self, stages: Sequence[trajectory.Trajectory], num_tasks: int
  ) -> meta_batch_lib.MetaBatch:
    """Makes what `train` takes of what stock drivers and buffers give.

    Args:
      stages: X + 1 `Trajectory`s [N, T', ...], the last one collected by the
        adapted policy: as given to `adapt`. T' may differ from stage to stage;
        `train` compiles anew for every new length.
      num_tasks: B, which divides N.

    Raises:
      ValueError: The stages are not of that number or shape.
    """
    expected = self._num_adaptation_steps + 1
    if not isinstance(stages, Sequence):
      raise ValueError(
        f'stages are not a sequence: give {expected} Trajectorys'
      )
    if len(stages) != expected:
      raise ValueError(
        f'{len(stages)} stages were given: give {expected}, what was collected'
        ' after each number of adaptation steps, from 0 on'
      )
    *support, query = (
      regrouping.group_by_task(stage, num_tasks, self.collect_data_spec)
      for stage in stages
    )
    return meta_batch_lib.MetaBatch(tuple(support), query)

  def check_meta_batch(self, batch: meta_batch_lib.MetaBatch) -> None:
    """Makes sure that `train` can learn from something.

    Args:
      batch: A `MetaBatch`, leaves [B, T, ...]; T may differ between stages.

    Raises:
      ValueError: It is not of that structure, shape or type.
    """
    if not isinstance(batch, meta_batch_lib.MetaBatch):
      raise ValueError(
        f'a {type(batch).__name__} is no MetaBatch: give what'
        ' MetaCollector.collect or MamlAgent.meta_batch returned'
      )
    if len(batch.support) != self._num_adaptation_steps:
      raise ValueError(
        f'the meta-batch has {len(batch.support)} support stages, the agent'
        f' takes {self._num_adaptation_steps} adaptation steps'
      )
    num_tasks = []
    for number, stage in enumerate((*batch.support, batch.query)):
      stage = regrouping.validate_frames(
        stage, self.collect_data_spec, f'stage {number} of the meta-batch'
      )
      num_tasks.append(stage.step_type.shape[0])
    if len(set(num_tasks)) > 1:
      raise ValueError(
        f'the stages of the meta-batch have {num_tasks} tasks: give equally'
        ' many'
      )

  def adapted_policy(
    self, parameters: inner_loop_lib.Parameters, deterministic: bool = False
  ) -> adapted_policy.AdaptedPolicy:
    """Returns a policy whose initial state is one task's parameters.

    Args:
      parameters: Tensors of one task, without the leading B.
      deterministic: Whether it acts by the distribution's mode.
    """
    return adapted_policy.AdaptedPolicy(
      self.time_step_spec,
      self.action_spec,
      self._network,
      self._distributions,
      parameters,
      observation_normalizer=self._normalizer,
      deterministic=deterministic,
    )

  def _prepare(
    self,
    experience: trajectory.Trajectory,
    policy_state: inner_loop_lib.Parameters | None = None,
  ) -> meta_batch_lib.Stage:
    """Computes what the losses need of a stage, [B, T, ...].

    A value network predicts with the parameters that acted: the policy state.
    """
    # XLA cannot read variables itself where there are several replicas.
    statistics = self._normalizer.statistics() if self._normalizer else None
    is_known = experience.step_type.shape[1] is not None
    prepare = (
      self._prepare_stage_fn if is_known else self._prepare_any_length_fn
    )
    return prepare(
      experience, statistics, policy_state if self._has_values else None
    )

  def _prepare_stage(self, experience, statistics, policy_state):
    if statistics is not None:
      experience = experience._replace(
        observation=self._normalizer.normalize(
          experience.observation, statistics
        )
      )
    mask = meta_batch_lib.valid_mask(experience, experience.reward.dtype)
    behaviour = meta_batch_lib.fill_boundaries(experience.policy_info, mask)
    estimate, log_prob = task_map.vmap_in_chunks(
      self._estimate,
      (experience, behaviour, policy_state if self._has_values else ()),
      self._task_chunk_size,
    )
    return meta_batch_lib.Stage(
      observation=experience.observation,
      step_type=experience.step_type,
      action=experience.action,
      behaviour=behaviour,
      behaviour_log_prob=log_prob,
      mask=mask,
      **estimate._asdict(),
    )

  def _estimate(self, tasks):
    """Advantages and log-probabilities of a chunk of tasks."""
    experience, behaviour, policy_state = tasks
    baseline = self._baseline
    if self._has_values:
      frames = (policy_state, experience.observation, experience.step_type)
      baseline = advantages.GivenValues(
        tf.vectorized_map(lambda task: self._task.values(*task), frames)
      )
    estimate = advantages.estimate(
      experience, baseline, self._discount, self._gae_lambda
    )
    log_prob = action_distributions.log_prob(
      self._distributions.from_tensors(behaviour),
      experience.action,
      outer_dims=2,
    )
    return estimate, log_prob

  def _adapt_prepared(self, stage, policy_state, step, step_size=None):
    """One adaptation step of every task on a prepared stage."""
    values = tuple(tf.identity(v) for v in self._inner_loop.variables_tuple)
    # Only what is learned differs from step to step.
    if not values:
      step = 0
    elif isinstance(step, int):
      step = min(step, self._num_adaptation_steps - 1)
    is_known = stage.step_type.shape[1] is not None
    adapt = self._adapt_fn if is_known else self._adapt_any_length_fn
    return adapt(policy_state, stage, values, step, step_size)

  def _adapt_tasks(self, policy_state, stage, values, step, step_size):
    def adapt_task(task):
      parameters, task_stage, *own_step = task
      return self._task.adapt(
        (*parameters, *values),
        (task_stage,),
        first_step=own_step[0] if own_step else step,
        step_size=step_size,
      ).parameters

    tasks = (policy_state, stage)
    if tf.is_tensor(step):
      tasks += (step,)
    return task_map.vmap_tasks(adapt_task, tasks, self._task_chunk_size)

  def _mean_of(self, fn):
    """A function of one task as the mean over this replica's tasks, float64.

    What is returned with it, [B], is 1 for tasks of which all is finite.
    """

    def mean(shared, tasks):
      per_task = task_map.vmap_tasks(
        lambda task: fn(*shared, *task), tasks, self._task_chunk_size
      )
      return replicas.local_mean(per_task), _finite_rows(per_task)

    return mean

  def _mean(self, fn, shared, tasks):
    """The mean over the tasks of all replicas, and which are finite here."""
    means, finite = fn(shared, tasks)
    dtype = self.meta_parameters[0].dtype
    return (
      tf.nest.map_structure(lambda t: tf.cast(t, dtype), replicas.mean(means)),
      finite,
    )

  def _meta_problem(self, coefficients, support, query, finite):
    """What an update may ask of a prepared meta-batch.

    To the list `finite` every gradient appends which tasks were finite.
    """

    def gradient(theta):
      gradients, finite_rows = self._mean(
        self._meta_gradient_fn, (theta, coefficients), (support, query)
      )
      finite.append(finite_rows)
      return gradients

    def loss(theta):
      return self._mean(
        self._task_loss_fn, (theta, coefficients), (support, query)
      )[0]

    def loss_and_kl(theta):
      metrics = loss(theta)
      return metrics.loss, metrics.terms.kl

    def kl_hvp(theta, vector):
      return self._mean(self._kl_product_fn, (theta, vector), (support, query))[
        0
      ]

    def reptile_direction(theta):
      changes, finite_rows = self._mean(
        self._displacement_fn, (theta,), ((*support, query),)
      )
      finite.append(finite_rows)
      return loss(theta), changes

    return meta_updates.MetaProblem(
      gradient, loss_and_kl, kl_hvp, reptile_direction
    )

  def _train(
    self,
    experience: meta_batch_lib.MetaBatch,
    weights: types.Tensor | None = None,
  ) -> tf_agent.LossInfo:
    _check_weights(weights)
    before = [tf.identity(v) for v in self.training_variables]
    support, query = self._prepare_batch(experience)
    coefficients = tf.identity(self._objective.kl_coefficients)
    finite = [_finite_rows([s.baseline_error for s in (*support, query)])]
    problem = self._meta_problem(coefficients, support, query, finite)
    info = self._update(self.meta_parameters, problem)
    # Measured after the update: before it the KL of the first step is 0.
    theta = tuple(tf.identity(v) for v in self.meta_parameters)
    inner_kl, _ = self._mean(self._inner_kl_fn, (theta,), (support,))
    self._objective.update_kl_coefficients(inner_kl)
    if self._normalizer:
      self._normalizer.update(*meta_batch_lib.valid_observations(experience))
    finite_tasks = _finite_tasks(finite)
    reported = (info.metrics, info.gradient_norm, inner_kl)
    is_taken = self._keep_if_finite(before, finite_tasks, reported)
    self.train_step_counter.assign_add(1)
    return self._loss_info(
      query, coefficients, inner_kl, info, finite_tasks, is_taken
    )

  def _keep_if_finite(self, before, finite_tasks, reported):
    """Takes back what is not finite; returns 1 if there was nothing."""
    variables = self.training_variables
    is_taken = tf.reduce_min(finite_tasks) > 0
    for value in (*variables, *tf.nest.flatten(reported)):
      if value.dtype.is_floating:
        is_taken &= tf.reduce_all(tf.math.is_finite(value))
    for variable, old in zip(variables, before):
      # No branch: replicas cannot assign inside one.
      variable.assign(tf.where(is_taken, variable, old))
    return tf.cast(is_taken, tf.float32)

  def _loss(
    self,
    experience: meta_batch_lib.MetaBatch,
    weights: types.Tensor | None = None,
    training: bool = False,
  ) -> tf_agent.LossInfo:
    _check_weights(weights)
    support, query = self._prepare_batch(experience)
    coefficients = tf.identity(self._objective.kl_coefficients)
    theta = tuple(tf.identity(v) for v in self.meta_parameters)
    finite = []
    problem = self._meta_problem(coefficients, support, query, finite)
    task_loss, gradients = problem.gradient(theta)
    info = meta_updates.UpdateInfo(
      task_loss, tf.linalg.global_norm(gradients), self._update.learning_rate
    )
    finite_tasks = _finite_tasks(finite)
    return self._loss_info(
      query,
      coefficients,
      task_loss.terms.inner_kl,
      info,
      finite_tasks,
      is_taken=tf.zeros([]),
    )

  def _prepare_batch(self, experience):
    self.check_meta_batch(experience)
    stages = (*experience.support, experience.query)
    if self._has_values:
      prepared = self._prepare_in_turn(stages)
    else:
      prepared = [self._prepare(stage) for stage in stages]
    *support, query = prepared
    returns = replicas.standardize(query.episode_return)
    return tuple(support), query._replace(episode_return=returns)

  def _prepare_in_turn(self, stages):
    """Prepares stages with the values of the parameters that collected them."""
    num_tasks = stages[0].reward.shape[0] or tf.shape(stages[0].reward)[0]
    state = self.collect_policy.get_initial_state(num_tasks)
    prepared = []
    for step, stage in enumerate(stages):
      prepared.append(self._prepare(stage, state))
      if step < self._num_adaptation_steps:
        state = self._adapt_prepared(prepared[-1], state, step)
    return prepared

  def _loss_info(
    self, query, coefficients, inner_kl, info, finite_tasks, is_taken
  ):
    task_loss = info.metrics
    baseline_error = replicas.mean(replicas.local_mean(query.baseline_error))
    loss_info = tf_agent.LossInfo(
      task_loss.loss,
      MamlLossInfo(
        policy_loss=task_loss.terms.policy_loss,
        vf_loss=tf.cast(baseline_error, query.baseline_error.dtype),
        entropy=task_loss.terms.entropy,
        kl=task_loss.terms.kl,
        inner_kl=inner_kl,
        kl_coefficient=coefficients,
        inner_loss=task_loss.inner_loss,
        gradient_norm=info.gradient_norm,
        learning_rate=info.learning_rate,
        finite_tasks=finite_tasks,
        is_taken=is_taken,
      ),
    )
    return replicas.share(loss_info)


def _finite_rows(per_task):
  """Which tasks of a nest of tensors [B, ...] are finite: 1 or 0, [B]."""
  leaves = [
    tf.reduce_all(tf.math.is_finite(t), axis=list(range(1, t.shape.rank)))
    for t in tf.nest.flatten(per_task)
  ]
  return tf.cast(tf.reduce_all(tf.stack(leaves), axis=0), tf.float32)


def _finite_tasks(finite):
  """Which tasks of all replicas were finite at every gradient."""
  return replicas.gather(tf.reduce_min(tf.stack(finite), axis=0))


def _check_finite(policy_state):
  finding = finite_checks.find(
    {'adapted parameters': [p.numpy() for p in policy_state]}
  )
  if finding is not None:
    raise finite_checks.NonFiniteError(
      finding.quantity, finding.task, count=finding.count
    )


def _check_weights(weights):
  if weights is not None:
    raise ValueError('weights are not supported: every task counts alike.')


def _example_output(network, time_step_spec):
  """What the network returns for one observation of zeros."""
  observation = tf.nest.map_structure(
    lambda spec: tf.zeros([1, *spec.shape], spec.dtype),
    time_step_spec.observation,
  )
  step_type = tf.fill([1], ts.StepType.FIRST)
  return network(observation, step_type=step_type, network_state=())[0]


def _check_parts(
  actor_network, value_network, inner_loop, meta_update, baseline, value_loss
):
  """Raises ValueError where an argument excludes or lacks another."""
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
  for name, part, attribute, example in (
    ('inner_loop', inner_loop, 'adapt', 'InnerLoop()'),
    ('meta_update', meta_update, 'learning_rate', 'GradientUpdate()'),
    ('baseline', baseline, 'fit_predict', 'LinearFeatureBaseline()'),
  ):
    is_part = hasattr(part, attribute) and not isinstance(part, type)
    if part is not None and not is_part:
      raise ValueError(
        f'{name} is {part!r}: give a {name.replace("_", " ")}, such as'
        f' {example}'
      )
  if value_loss is not None:
    checks.function('value_loss', value_loss, 'ValueLoss()')
  if value_network is None and value_loss is not None:
    raise ValueError('value_loss needs a value_network: give both or neither')
  if value_network is not None and baseline is not None:
    raise ValueError(
      'baseline and value_network both predict returns: give one of them'
    )
