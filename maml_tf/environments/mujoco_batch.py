"""Many copies of MuJoCo models, stepped together on all cores.

The physics runs in `mujoco.rollout`'s persistent pool of threads, outside
Python: https://mujoco.readthedocs.io/en/stable/python.html#rollout
"""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from maml_tf.core import cpu
from maml_tf.environments import mujoco_models
from maml_tf.environments import mujoco_process
from maml_tf.environments import mujoco_stepping

# Names of earlier versions.
load_model = mujoco_models.load_model
vary_model = mujoco_models.vary_model
route_warnings = mujoco_process.route_warnings

_CONTACT_FORCES = 'cfrc_ext'


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
    derived: Sequence[str] = (),
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
      derived: The names of other arrays of `MjData` to keep after each step,
        such as 'xipos'; see `derived`. The rows are then stepped one by one.

    Raises:
      ValueError: If the models' structures differ, `num_rows` is missing or
        contradicts the list, or `MjData` has no array of a derived name.
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
    self._nq, self._nv = self._models[0].nq, self._models[0].nv
    mujoco_models.check_structures(self._models, self._models[0])

    self._frame_skip = frame_skip
    self._timesteps = np.array([m.opt.timestep for m in self._models])
    self._unstable = np.zeros(self.num_rows, bool)
    self._resting = np.zeros(self.num_rows, bool)
    self._derived_names = tuple(dict.fromkeys(derived))
    if contact_forces and _CONTACT_FORCES not in self._derived_names:
      self._derived_names += (_CONTACT_FORCES,)
    self._derived: dict[str, np.ndarray] = {}
    self._stepping: mujoco_stepping.Stepping | None = None
    self.use_threads(num_threads or cpu.count())
    num_state = mujoco.mj_stateSize(
      self._models[0], mujoco_stepping.FULL_PHYSICS
    )
    self._state = np.zeros((self.num_rows, num_state))
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
    return self.derived(_CONTACT_FORCES)

  def derived(self, name: str) -> np.ndarray:
    """Returns an array of `MjData` for each row, float64 [N, ...].

    It has the values that `mj_step` left there in the last physics step, as
    Gymnasium's environments read them: kinematics are those before that step's
    integration, or those of its last stage. Rows that were set since have the
    values of `mj_forward`, without contact forces.

    Args:
      name: One of the names that were asked for, such as 'xipos'.

    Raises:
      ValueError: If the name was not asked for.
    """
    if name not in self._derived:
      raise ValueError(
        f'{name!r} is not kept: name it in the argument derived of MujocoBatch'
      )
    return self._derived[name]

  @property
  def unstable(self) -> np.ndarray:
    """A bool array [N]: True in rows that the last `step` could not advance."""
    return self._unstable

  def use_threads(self, num_threads: int) -> None:
    """Divides a step over a number of threads, which changes no result.

    Args:
      num_threads: The number of threads in the pool. 1: the calling thread
        steps the rows, unless derived arrays are kept.
    """
    self.close()
    self._num_threads = num_threads
    if self._derived_names:
      self._stepping = mujoco_stepping.RowByRow(
        self._models[0], num_threads, self._derived_names
      )
    else:
      self._stepping = mujoco_stepping.Rollout(self._models[0], num_threads)

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

    Raises:
      RuntimeError: If the batch is closed and would derive arrays.
    """
    if self._derived_names:
      self._check_open()
    state = self._state.copy()
    state[rows] = 0
    state[rows, 1 : 1 + self._nq] = qpos
    state[rows, 1 + self._nq : 1 + self._nq + self._nv] = qvel
    self._keep(state)
    if self._derived_names:
      assert isinstance(self._stepping, mujoco_stepping.RowByRow)
      numbers = np.arange(self.num_rows)[rows]
      values = self._stepping.derive(
        [self._models[row] for row in numbers], state[numbers]
      )
      self._keep_derived(values, numbers)

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
    mujoco_models.check_structures(models, self._models[0])
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
    self._check_open()
    assert self._stepping is not None
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
    after, failed = self._stepping.step(
      models, start, controls[rows], self._frame_skip
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
    if self._derived_names:
      assert isinstance(self._stepping, mujoco_stepping.RowByRow)
      values = self._stepping.derived
      moved = np.arange(self.num_rows)[rows]
      if failed.any():
        # A row that cannot advance keeps its values, without contact forces.
        for name in self._derived_names:
          kept = self._derived[name][moved][failed]
          values[name][failed] = 0 if name == _CONTACT_FORCES else kept
      self._keep_derived(values, moved)

  def close(self) -> None:
    """Stops the threads."""
    if self._stepping is not None:
      self._stepping.close()
      self._stepping = None

  def _check_open(self):
    if self._stepping is None:
      raise RuntimeError('this MujocoBatch is closed: make a new one')

  def _keep(self, state):
    state.flags.writeable = False
    self._state = state

  def _keep_derived(self, values, rows):
    """Replaces the derived arrays by new ones, with other values in rows."""
    for name, given in values.items():
      array = self._derived.get(name)
      if array is None:
        array = np.zeros((self.num_rows, *given.shape[1:]))
      array = array.copy()
      array[rows] = given
      array.flags.writeable = False
      self._derived[name] = array
