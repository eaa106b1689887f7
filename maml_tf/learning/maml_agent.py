"""The TFAgent: joins network, inner loop and outer loss; owns what is learned.

The meta-gradient of one task is plain code with nested tapes; both tapes stand
inside the function that is vectorised over tasks (`task_meta_gradient`).
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network as network_lib
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf import action_distributions
from maml_tf import checks
from maml_tf import meta_batch
from maml_tf import observation_normalizer
from maml_tf import parameters as parameters_lib
from maml_tf.collection import adapted_policy
from maml_tf.learning import adaptation
from maml_tf.learning import advantages
from maml_tf.learning import meta_objectives
from maml_tf.learning import meta_updates
from maml_tf.learning import surrogates
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
    learning_rate: The outer optimizer's.
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


class _TaskLoss(NamedTuple):
  """What one task's loss gives, before the mean over tasks."""

  loss: types.Tensor
  terms: meta_objectives.ObjectiveTerms
  inner_loss: types.Tensor


@gin.configurable
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
    meta_update: meta_updates.GradientUpdate | None = None,
    num_adaptation_steps: int = 1,
    inner_step_size: float = 0.1,
    surrogate: adaptation.Surrogate = surrogates.likelihood_ratio,
    meta_objective_class: Callable[
      ..., meta_objectives.ProximalObjective
    ] = meta_objectives.ProximalObjective,
    baseline: advantages.Baseline | None = None,
    discount: float = 0.99,
    gae_lambda: float = 1.0,
    normalize_observations: bool = False,
    task_chunk_size: int | None = 4,
    jit_compile: bool = False,
    train_step_counter: tf.Variable | None = None,
    name: str | None = None,
  ):
    """Creates the agent.

    Args:
      time_step_spec: A `TimeStep` of specs, without a batch axis.
      action_spec: A nest of `BoundedTensorSpec`.
      actor_network: A `DistributionNetwork` without recurrent state.
      meta_update: What changes the meta-parameters. None: `GradientUpdate`
        with Adam and a learning rate of 1e-3.
      num_adaptation_steps: X.
      inner_step_size: Of the adaptation steps.
      surrogate: What an adaptation step ascends.
      meta_objective_class: Makes the outer loss, given X.
      baseline: Of the advantages. None: `LinearFeatureBaseline`.
      discount: gamma.
      gae_lambda: lambda.
      normalize_observations: Whether network and baseline see observations
        normalised by the mean and variance of all that were trained on.
      task_chunk_size: How many tasks are vectorised together, see `task_map`.
      jit_compile: Whether XLA compiles the functions that loop over tasks.
      train_step_counter: Counts calls of `train`. None: the global step.
      name: The name of the agent.

    Raises:
      ValueError: A number is out of range, or the network has a state.
    """
    tf.Module.__init__(self, name=name)
    checks.integer('num_adaptation_steps', num_adaptation_steps, 1)
    checks.number('inner_step_size', inner_step_size, above=0)
    checks.number('discount', discount, minimum=0, maximum=1)
    checks.number('gae_lambda', gae_lambda, minimum=0, maximum=1)
    if not callable(surrogate):
      raise ValueError(
        f'surrogate is {surrogate!r}: give a function, such as likelihood_ratio'
      )
    if baseline is not None and not hasattr(baseline, 'fit_predict'):
      raise ValueError(
        f'baseline is {baseline!r}: give a baseline, such as '
        'LinearFeatureBaseline()'
      )
    if task_chunk_size is not None:
      checks.integer('task_chunk_size', task_chunk_size, 1)
    if actor_network.state_spec:
      raise ValueError(
        f'Network {actor_network.name} is recurrent: use one without a state,'
        ' such as ActorDistributionNetwork.'
      )
    self._network = parameters_lib.ParameterizedNetwork(actor_network)
    self._distributions = action_distributions.ActionDistributions(
      _example_output(actor_network, time_step_spec)
    )
    self._update = meta_update or meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3)
    )
    self._update.build(self._network.variables_tuple)
    self._num_adaptation_steps = num_adaptation_steps
    self._inner_step_size = inner_step_size
    self._surrogate = surrogate
    self._objective = meta_objective_class(num_adaptation_steps)
    self._baseline = baseline or advantages.LinearFeatureBaseline()
    self._discount = discount
    self._gae_lambda = gae_lambda
    self._normalizer = (
      observation_normalizer.ObservationNormalizer(time_step_spec.observation)
      if normalize_observations
      else None
    )
    self._task_chunk_size = task_chunk_size
    compiled = functools.partial(
      tf.function, autograph=False, jit_compile=jit_compile
    )
    self._prepare_stage_fn = compiled(self._prepare_stage)
    self._adapt_fn = compiled(self._adapt_tasks)
    self._meta_gradient_fn = compiled(self._meta_gradient)
    self._inner_kl_fn = compiled(self._inner_kl)

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
      training_data_spec=meta_batch.MetaBatch(
        (stage_spec,) * num_adaptation_steps, stage_spec
      ),
      train_step_counter=train_step_counter,
    )

  @property
  def num_adaptation_steps(self) -> int:
    """X."""
    return self._num_adaptation_steps

  @property
  def meta_parameters(self) -> tuple[tf.Variable, ...]:
    """theta: what is trained."""
    return self._network.variables_tuple

  def adapt(
    self,
    experience: trajectory.Trajectory,
    policy_state: adaptation.Parameters,
  ) -> adaptation.Parameters:
    """Takes one adaptation step for every task.

    Args:
      experience: A `Trajectory` [B, T, ...] collected by `collect_policy`.
      policy_state: Its parameters then, leaves [B, ...].

    Returns:
      The new policy state, leaves [B, ...].
    """
    return self._adapt_fn(policy_state, self._prepare(experience))

  def adapted_policy(
    self, parameters: adaptation.Parameters, deterministic: bool = False
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

  def _prepare(self, experience: trajectory.Trajectory) -> meta_batch.Stage:
    """Computes what the losses need of a stage, [B, T, ...]."""
    # XLA cannot read variables itself where there are several replicas.
    statistics = self._normalizer.statistics() if self._normalizer else None
    return self._prepare_stage_fn(experience, statistics)

  def _prepare_stage(self, experience, statistics):
    if statistics is not None:
      experience = experience._replace(
        observation=self._normalizer.normalize(
          experience.observation, statistics
        )
      )
    advantage, error = advantages.estimate(
      experience, self._baseline, self._discount, self._gae_lambda
    )
    mask = meta_batch.valid_mask(experience, advantage.dtype)
    behaviour = _fill_boundaries(experience.policy_info, mask)
    log_prob = action_distributions.log_prob(
      self._distributions.from_tensors(behaviour),
      experience.action,
      outer_dims=2,
    )
    return meta_batch.Stage(
      experience.observation,
      experience.step_type,
      experience.action,
      behaviour,
      log_prob,
      advantage,
      error,
      mask,
    )

  def _distribution(
    self, parameters: adaptation.Parameters, stage: meta_batch.Stage
  ) -> types.NestedDistribution:
    """The action distributions of one task's frames, [T]."""
    return self._network(
      parameters,
      stage.observation,
      step_type=stage.step_type,
      network_state=(),
    )[0]

  def _adapt_task(self, parameters, stages) -> adaptation.Adapted:
    """The inner loop of one task."""
    return adaptation.adapt_parameters(
      parameters,
      stages,
      self._distribution,
      self._surrogate,
      self._inner_step_size,
    )

  def _adapt_tasks(self, policy_state, stage):
    def adapt_task(task):
      parameters, task_stage = task
      stages = self._with_behaviour((task_stage,))
      return self._adapt_task(parameters, stages).parameters

    return task_map.map_tasks(
      adapt_task, (policy_state, stage), self._task_chunk_size
    )

  def _with_behaviour(self, stages):
    """Rebuilds the behaviour distributions of one task's stages."""
    return tuple(
      s._replace(behaviour=self._distributions.from_tensors(s.behaviour))
      for s in stages
    )

  def task_loss(
    self,
    theta: adaptation.Parameters,
    kl_coefficients: types.Tensor,
    support: tuple[meta_batch.Stage, ...],
    query: meta_batch.Stage,
  ) -> _TaskLoss:
    """One task's outer loss, after adaptation: no batch axis."""
    *support, query = self._with_behaviour((*support, query))
    adapted = self._adapt_task(theta, support)
    loss, terms = self._objective(
      kl_coefficients,
      adapted,
      support,
      self._distribution(adapted.parameters, query),
      query,
    )
    return _TaskLoss(loss, terms, tf.stack(adapted.losses))

  def task_meta_gradient(self, theta, kl_coefficients, support, query):
    """One task's outer loss and its gradient through the adaptation."""
    with tf.GradientTape() as outer:
      outer.watch(theta)
      task_loss = self.task_loss(theta, kl_coefficients, support, query)
    gradients = outer.gradient(
      task_loss.loss,
      theta,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return task_loss, gradients

  def _meta_gradient(self, theta, kl_coefficients, support, query):
    """Loss terms and gradient, means over this replica's tasks."""
    return _task_mean(
      task_map.map_tasks(
        lambda task: self.task_meta_gradient(theta, kl_coefficients, *task),
        (support, query),
        self._task_chunk_size,
      )
    )

  def _inner_kl(self, theta, support):
    """Inner KL [X] under theta, mean over this replica's tasks."""

    def task_inner_kl(stages):
      stages = self._with_behaviour(stages)
      adapted = self._adapt_task(theta, stages[:-1])
      last = self._distribution(adapted.parameters, stages[-1])
      return tf.stack(
        [
          meta_objectives.mean_kl(distribution, stage)
          for distribution, stage in zip((*adapted.distributions, last), stages)
        ]
      )

    return _task_mean(
      task_map.map_tasks(task_inner_kl, support, self._task_chunk_size)
    )

  def _train(
    self,
    experience: meta_batch.MetaBatch,
    weights: types.Tensor | None = None,
  ) -> tf_agent.LossInfo:
    _check_weights(weights)
    support, query = self._prepare_batch(experience)
    coefficients = tf.identity(self._objective.kl_coefficients)

    def gradient_fn():
      theta = tuple(tf.identity(v) for v in self.meta_parameters)
      return _replica_mean(
        self._meta_gradient_fn(theta, coefficients, support, query)
      )

    info = self._update(self.meta_parameters, gradient_fn)
    # Measured after the update: before it the KL of the first step is 0.
    theta = tuple(tf.identity(v) for v in self.meta_parameters)
    inner_kl = _replica_mean(self._inner_kl_fn(theta, support))
    self._objective.update_kl_coefficients(inner_kl)
    if self._normalizer:
      self._normalizer.update(*_valid_observations(experience))
    self.train_step_counter.assign_add(1)
    return self._loss_info(query, coefficients, inner_kl, info)

  def _loss(
    self,
    experience: meta_batch.MetaBatch,
    weights: types.Tensor | None = None,
    training: bool = False,
  ) -> tf_agent.LossInfo:
    _check_weights(weights)
    support, query = self._prepare_batch(experience)
    coefficients = tf.identity(self._objective.kl_coefficients)
    theta = tuple(tf.identity(v) for v in self.meta_parameters)
    task_loss, gradients = _replica_mean(
      self._meta_gradient_fn(theta, coefficients, support, query)
    )
    info = meta_updates.UpdateInfo(
      task_loss, tf.linalg.global_norm(gradients), self._update.learning_rate
    )
    return self._loss_info(query, coefficients, task_loss.terms.inner_kl, info)

  def _prepare_batch(self, experience):
    if len(experience.support) != self._num_adaptation_steps:
      raise ValueError(
        f'The meta-batch has {len(experience.support)} support stages, the'
        f' agent takes {self._num_adaptation_steps} adaptation steps.'
      )
    support = tuple(self._prepare(stage) for stage in experience.support)
    return support, self._prepare(experience.query)

  def _loss_info(self, query, coefficients, inner_kl, info):
    task_loss = info.metrics
    return tf_agent.LossInfo(
      task_loss.loss,
      MamlLossInfo(
        policy_loss=task_loss.terms.policy_loss,
        vf_loss=_replica_mean(tf.reduce_mean(query.baseline_error)),
        entropy=task_loss.terms.entropy,
        kl=task_loss.terms.kl,
        inner_kl=inner_kl,
        kl_coefficient=coefficients,
        inner_loss=task_loss.inner_loss,
        gradient_norm=info.gradient_norm,
        learning_rate=info.learning_rate,
      ),
    )


def _valid_observations(experience):
  """The observations of all stages [B, T', ...] and their mask."""
  stages = (*experience.support, experience.query)
  observation = tf.nest.map_structure(
    lambda *tensors: tf.concat(tensors, axis=1),
    *(stage.observation for stage in stages),
  )
  masks = [meta_batch.valid_mask(stage) for stage in stages]
  return observation, tf.concat(masks, axis=1)


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


def _fill_boundaries(behaviour, mask):
  """Replaces what boundaries hold, which may be no distribution at all.

  Boundaries are masked out of every sum, but what is computed from them must be
  finite: they get the parameters of their task's first valid frame.
  """
  first = tf.argmax(mask, axis=1, output_type=tf.int32)
  valid = mask > 0

  def fill(tensor):
    substitute = tf.gather(tensor, first[:, tf.newaxis], batch_dims=1)
    condition = tf.reshape(
      valid, [*valid.shape, *([1] * (tensor.shape.rank - 2))]
    )
    return tf.where(condition, tensor, substitute)

  return tf.nest.map_structure(fill, behaviour)


def _task_mean(per_task):
  return tf.nest.map_structure(lambda t: tf.reduce_mean(t, axis=0), per_task)


def _replica_mean(tensors):
  """Mean over replicas, which hold equally many tasks."""
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return tensors
  return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)
