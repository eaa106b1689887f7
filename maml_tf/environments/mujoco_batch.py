"""Many copies of MuJoCo models, stepped together on all cores.

The physics runs in `mujoco.rollout`'s persistent pool of threads, outside
Python: https://mujoco.readthedocs.io/en/stable/python.html#rollout
"""

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import copy
import os
from typing import Any

import mujoco
from mujoco import rollout
import numpy as np
import numpy.typing as npt

from maml_tf.core import cpu
from maml_tf.environments import mujoco_process

# A name of version 0.1.0.
route_warnings = mujoco_process.route_warnings

_FULL_PHYSICS = mujoco.mjtState.mjSTATE_FULLPHYSICS.value


class MujocoBatch:
  """The states of N rows of MuJoCo physics, with the pool that advances them.

  A row's next state depends only on its own state and control. The number of
  threads and the other rows have no influence. The solver starts cold at every
  `step`.

  A state is MuJoCo's FULLPHYSICS vector: time [s], qpos, qvel, activations. The
  arrays that properties return are read-only snapshots. Later steps do not
  change them.

  MuJoCo considers a simulation unstable if a position, velocity or acceleration
  is not finite or exceeds 1e10. It then warns and resets the simulation to the
  model's default pose. Here, such a row keeps its last state instead, and
  `unstable` reports it.
  """

  def __init__(
    self,
    model: mujoco.MjModel | Sequence[mujoco.MjModel],
    num_rows: int | None = None,
    frame_skip: int = 1,
    num_threads: int | None = None,
    contact_forces: bool = False,
  ):
    """Starts the pool, with every row at its model's default pose.

    Args:
      model: One `MjModel` for all rows, or a list of N models, one for each
        row. They may differ in numbers (masses, sizes, gains) but not in
        structure. Rows may share a model; see `vary_model`.
      num_rows: N. Required with one model, optional with a list.
      frame_skip: The number of physics steps in one call of `step`.
      num_threads: See `use_threads`. None: the number of processors available
        to this process.
      contact_forces: Whether `step` computes `contact_forces`. MuJoCo computes
        them only on request, and its rollout cannot be asked for them. The rows
        are then stepped one by one, on the same number of threads.

    Raises:
      ValueError: If the models' structures differ, or `num_rows` is missing or
        contradicts the list.
    """
    mujoco_process.prepare()
    self._models: list[mujoco.MjModel]
    if isinstance(model, mujoco.MjModel):
      if num_rows is None:
        raise ValueError('num_rows is missing: with one model, give it')
      self._models = [model] * num_rows
    else:
      self._models = list(model)
      if num_rows is not None and num_rows != len(self._models):
        raise ValueError(
          f'num_rows is {num_rows}, but there are {len(self._models)} models: '
          'give one model for each row'
        )
    self._nq, self._nv, self._na, self._nu = _sizes(self._models[0])
    self._nbody = self._models[0].nbody
    _check_sizes(self._models, self._models[0])

    self._frame_skip = frame_skip
    self._timesteps = np.array([m.opt.timestep for m in self._models])
    self._unstable = np.zeros(self.num_rows, bool)
    self._resting = np.zeros(self.num_rows, bool)
    self._rollout: rollout.Rollout | None = None
    self._pool: futures.ThreadPoolExecutor | None = None
    self._contact_forces: np.ndarray | None = None
    if contact_forces:
      self._contact_forces = np.zeros((self.num_rows, self._nbody, 6))
    self.use_threads(num_threads or cpu.count())
    num_state = mujoco.mj_stateSize(self._models[0], _FULL_PHYSICS)
    self._state = np.zeros((self.num_rows, num_state))
    # Every rollout reads or overwrites these buffers.
    self._controls = np.zeros((self.num_rows, frame_skip, self._nu))
    self._substates = np.zeros((self.num_rows, frame_skip, num_state))
    self.set_state(
      np.stack([row_model.qpos0 for row_model in self._models]),
      np.zeros((self.num_rows, self._nv)),
    )

  @property
  def num_rows(self) -> int:
    """N, the number of rows."""
    return len(self._models)

  @property
  def models(self) -> list[mujoco.MjModel]:
    """The models of the N rows."""
    return self._models

  @property
  def num_threads(self) -> int:
    """The number of threads that a step is divided over."""
    return self._num_threads

  @property
  def state(self) -> np.ndarray:
    """The rows' physics states, float64 [N, 1 + nq + nv + na]."""
    return self._state

  @property
  def qpos(self) -> np.ndarray:
    """The rows' generalised positions [m, rad], float64 [N, nq]."""
    return self._state[:, 1 : 1 + self._nq]

  @property
  def qvel(self) -> np.ndarray:
    """The rows' generalised velocities [m/s, rad/s], float64 [N, nv]."""
    return self._state[:, 1 + self._nq : 1 + self._nq + self._nv]

  @property
  def contact_forces(self) -> np.ndarray:
    """The forces on each body of each row, float64 [N, nbody, 6].

    MuJoCo's `cfrc_ext`, torques [N m] before forces [N], at the last physics
    step. Zero in rows that were set since. `contact_forces` must have been
    asked for.
    """
    assert self._contact_forces is not None
    return self._contact_forces

  @property
  def unstable(self) -> np.ndarray:
    """A bool array [N]: True in rows that the last `step` could not advance."""
    return self._unstable

  def use_threads(self, num_threads: int) -> None:
    """Divides a step over a number of threads, which changes no result.

    Args:
      num_threads: The number of threads in the pool. 1: there is no pool, and
        rows are stepped in the thread that calls `step`.
    """
    self.close()
    self._num_threads = num_threads
    if self._contact_forces is None:
      num_pooled = num_threads if num_threads > 1 else 0
      self._rollout = rollout.Rollout(nthread=num_pooled)
    else:
      self._pool = futures.ThreadPoolExecutor(num_threads)
    self._datas = [mujoco.MjData(self._models[0]) for _ in range(num_threads)]

  def set_state(
    self,
    qpos: npt.ArrayLike,
    qvel: npt.ArrayLike,
    rows: np.ndarray | slice = slice(None),
  ) -> None:
    """Sets the positions and velocities of rows, and their time to zero.

    Args:
      qpos: A float array [K, nq], generalised positions [m, rad].
      qvel: A float array [K, nv], generalised velocities [m/s, rad/s].
      rows: An int array [K] of row numbers, or a slice; by default all rows.
    """
    state = self._state.copy()
    state[rows] = 0
    state[rows, 1 : 1 + self._nq] = qpos
    state[rows, 1 + self._nq : 1 + self._nq + self._nv] = qvel
    self._keep(state)
    if self._contact_forces is not None:
      forces = self._contact_forces.copy()
      forces[rows] = 0
      self._keep_forces(forces)

  def rest(self, rows: np.ndarray) -> None:
    """Chooses the rows that `step` leaves as they are.

    Args:
      rows: A bool array [N].
    """
    self._resting = rows.copy()

  def set_models(self, models: Sequence[mujoco.MjModel]) -> None:
    """Gives every row a model. States stay; usually, `set_state` follows.

    Args:
      models: N models of the structure of the former ones. Rows may share one.

    Raises:
      ValueError: If there are not N models, or the structures differ.
    """
    models = list(models)
    if len(models) != self.num_rows:
      raise ValueError(
        f'there are {len(models)} models for {self.num_rows} rows: give one'
        ' model for each row'
      )
    _check_sizes(models, self._models[0])
    self._models = models
    self._timesteps = np.array([m.opt.timestep for m in models])

  def step(self, controls: np.ndarray) -> None:
    """Advances every row by `frame_skip` physics steps.

    Args:
      controls: A float array [N, nu]. MuJoCo clamps it to the actuators'
        control ranges. If one of a row's controls is not finite, MuJoCo uses
        zeros for all of them. The row does not count as unstable.

    Raises:
      RuntimeError: If the batch is closed.
    """
    if self._rollout is None and self._pool is None:
      raise RuntimeError('this MujocoBatch is closed: make a new one')
    rows: Any = slice(None)
    models = self._models
    if self._resting.any():
      rows = np.flatnonzero(~self._resting)
      models = [models[row] for row in rows]
    if not models:  # MuJoCo does not bear that.
      self._unstable = np.zeros(self.num_rows, bool)
      return
    timesteps = self._timesteps[rows]
    # A row that MuJoCo resets shows the time of its first steps. All others
    # show a later time, since no row is allowed to begin before the first step.
    start = self._state[rows].copy()
    start[:, 0] = np.maximum(start[:, 0], timesteps)
    if self._rollout is not None:
      after, failed = self._roll_out(models, start, controls[rows])
    else:
      after, failed = self._step_one_by_one(
        models, start, controls[rows], timesteps, rows
      )
    # MuJoCo adds up the time step by step. This repeats its rounding.
    after[:, 0] = self._state[rows, 0]
    for _ in range(self._frame_skip):
      after[:, 0] += timesteps
    if failed.any():
      after[failed] = self._state[rows][failed]
    state, unstable = after, failed
    if self._resting.any():
      state, unstable = self._state.copy(), np.zeros(self.num_rows, bool)
      state[rows], unstable[rows] = after, failed
    unstable.flags.writeable = False
    self._unstable = unstable
    self._keep(state)

  def close(self) -> None:
    """Stops the threads."""
    if self._rollout is not None:
      self._rollout.close()
      self._rollout = None
    if self._pool is not None:
      self._pool.shutdown()
      self._pool = None

  def _roll_out(self, models, start, controls):
    """Returns the states [K, ...] after a step, and which are unstable [K]."""
    assert self._rollout is not None
    num_rows = len(models)
    self._controls[:num_rows] = controls[:, np.newaxis]
    self._rollout.rollout(
      models,
      self._datas,
      start,
      self._controls[:num_rows],
      skip_checks=True,
      nstep=self._frame_skip,
      state=self._substates[:num_rows],
    )
    state = self._substates[:num_rows, -1].copy()
    return state, state[:, 0] <= start[:, 0]

  def _step_one_by_one(self, models, start, controls, timesteps, rows):
    """As `_roll_out`, with contact forces."""
    assert self._pool is not None
    state = np.empty_like(start)
    forces = np.zeros((len(models), self._nbody, 6))
    # As promised above. MuJoCo itself would clear them for one physics step.
    finite = np.isfinite(controls).all(axis=1, keepdims=True)
    controls = np.where(finite, controls, 0.0)
    # MuJoCo runs outside Python's lock, so threads share the cores.
    ends = np.linspace(0, len(models), self._num_threads + 1).astype(int)

    def advance(thread):
      data = self._datas[thread]
      for row in range(ends[thread], ends[thread + 1]):
        model = models[row]
        mujoco.mj_setState(model, data, start[row], _FULL_PHYSICS)
        # As in the rollout, the solver starts cold.
        data.qacc_warmstart[:] = 0
        data.ctrl[:] = controls[row]
        mujoco.mj_step(model, data, self._frame_skip)
        mujoco.mj_rnePostConstraint(model, data)
        mujoco.mj_getState(model, data, state[row], _FULL_PHYSICS)
        forces[row] = data.cfrc_ext

    for _ in self._pool.map(advance, range(self._num_threads)):
      pass  # An exception of a thread would surface here.
    # After a reset, less time than that of all steps has passed since zero.
    unstable = state[:, 0] < start[:, 0] + (
      (self._frame_skip - 0.5) * timesteps
    )
    forces[unstable] = 0
    all_forces = self.contact_forces.copy()
    all_forces[rows] = forces
    self._keep_forces(all_forces)
    return state, unstable

  def _keep(self, state):
    state.flags.writeable = False
    self._state = state

  def _keep_forces(self, forces):
    forces.flags.writeable = False
    self._contact_forces = forces


def load_model(source: str) -> mujoco.MjModel:
  """Returns the `MjModel` of an XML file or text. Warnings go to absl's log.

  Args:
    source: The path of an XML file, or the XML itself, which begins with `<`.

  Raises:
    ValueError: If the file does not exist, or MuJoCo refuses the XML.
  """
  mujoco_process.route_warnings()
  if source.lstrip().startswith('<'):
    return mujoco.MjModel.from_xml_string(source)
  if not os.path.isfile(source):
    raise ValueError(f'{source} does not exist: give an XML file, or XML')
  return mujoco.MjModel.from_xml_path(source)


def vary_model(
  model: mujoco.MjModel,
  tasks: Sequence[Any],
  change_model: Callable[[mujoco.MjModel, Any], None],
) -> list[mujoco.MjModel]:
  """Returns a changed copy of a model for each of B tasks.

  After the change, `mj_setConst` computes the numbers that depend on others,
  such as the total mass below a body. It does not compute what the XML compiler
  derives: whoever changes a mass also scales `body_inertia`.

  Args:
    model: The model, which stays as it is.
    tasks: B tasks.
    change_model: A function `(model, task)` that writes the task's numbers into
      the copy: masses, sizes, gains, friction. It returns None.

  Raises:
    ValueError: If the function returns anything else.
  """
  data = mujoco.MjData(model)
  models = []
  for task in tasks:
    varied = copy.copy(model)
    returned: Any = change_model(varied, task)
    if returned is not None:
      raise ValueError(
        f'change_model returned a {type(returned).__name__}: let it change the'
        ' model that it gets, and return None'
      )
    mujoco.mj_setConst(varied, data)
    models.append(varied)
  return models


def _sizes(model):
  return model.nq, model.nv, model.na, model.nu


def _check_sizes(models, first):
  for row, other in enumerate(models):
    if _sizes(other) != _sizes(first):
      raise ValueError(
        f"model {row} has sizes (nq, nv, na, nu) {_sizes(other)}, model 0's "
        f'are {_sizes(first)}: give models of one structure'
      )
