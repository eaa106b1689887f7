"""Two ways to step rows of MuJoCo physics: MuJoCo's rollout, or one by one.

Both give the same bits. The rollout is faster, but returns states alone.
"""

from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import Protocol

import mujoco
from mujoco import rollout
import numpy as np

FULL_PHYSICS = mujoco.mjtState.mjSTATE_FULLPHYSICS.value


class Stepping(Protocol):
  """Steps K rows, each with a model, from a state with a control."""

  def step(
    self,
    models: Sequence[mujoco.MjModel],
    start: np.ndarray,
    controls: np.ndarray,
    frame_skip: int,
  ) -> tuple[np.ndarray, np.ndarray]:
    """Advances K rows by `frame_skip` physics steps with a cold solver.

    Args:
      models: K models.
      start: A float64 array [K, ...] of FULLPHYSICS states. No row's time is
        before its first step.
      controls: A float array [K, nu].
      frame_skip: The number of physics steps.

    Returns:
      states: A new float64 array like `start`.
      unstable: A bool array [K]: True in rows that MuJoCo has reset.
    """
    ...

  def close(self) -> None:
    """Stops the threads."""


class Rollout(Stepping):
  """Steps rows in the threads of `mujoco.rollout`."""

  def __init__(self, model: mujoco.MjModel, num_threads: int):
    """Starts the threads.

    Args:
      model: A model of the rows' structure.
      num_threads: The number of threads. 1: the thread that calls.
    """
    self._datas = [mujoco.MjData(model) for _ in range(num_threads)]
    self._rollout = rollout.Rollout(
      nthread=num_threads if num_threads > 1 else 0
    )
    # Every rollout reads or overwrites these buffers.
    self._controls: np.ndarray | None = None
    self._substates: np.ndarray | None = None

  def step(self, models, start, controls, frame_skip):
    num_rows = len(models)
    if self._controls is None or len(self._controls) < num_rows:
      self._controls = np.zeros((num_rows, frame_skip, controls.shape[1]))
      self._substates = np.zeros((num_rows, frame_skip, start.shape[1]))
    assert self._substates is not None
    self._controls[:num_rows] = controls[:, np.newaxis]
    self._rollout.rollout(
      models,
      self._datas,
      start,
      self._controls[:num_rows],
      skip_checks=True,
      nstep=frame_skip,
      state=self._substates[:num_rows],
    )
    state = self._substates[:num_rows, -1].copy()
    return state, state[:, 0] <= start[:, 0]

  def close(self):
    self._rollout.close()


class RowByRow(Stepping):
  """Steps rows one by one, and keeps arrays that follow from the states.

  Attributes:
    derived: A dictionary of float64 arrays [K, ...] by the names of `MjData`'s
      arrays, after the last `step`.
  """

  def __init__(
    self, model: mujoco.MjModel, num_threads: int, names: Sequence[str]
  ):
    """Starts the threads.

    Args:
      model: A model of the rows' structure.
      num_threads: The number of threads.
      names: The names of arrays of `MjData`.

    Raises:
      ValueError: If `MjData` has no such array of a fixed size.
    """
    self._datas = [mujoco.MjData(model) for _ in range(num_threads)]
    self._names = tuple(names)
    for name in self._names:
      # Arrays of contacts and constraints are empty here, and grow with them.
      array = getattr(self._datas[0], name, None)
      if not isinstance(array, np.ndarray) or not array.size:
        raise ValueError(
          f"this model's MjData has no array {name!r} of a fixed size: give a"
          " name such as 'xipos'"
        )
    self._forces = 'cfrc_ext' in self._names
    self._pool = futures.ThreadPoolExecutor(num_threads)
    self.derived: dict[str, np.ndarray] = {}

  def derive(
    self, models: Sequence[mujoco.MjModel], states: np.ndarray
  ) -> dict[str, np.ndarray]:
    """Computes the arrays of rows at rest from control, by `mj_forward`.

    Contact forces are zero, as in a new `MjData`.

    Args:
      models: K models.
      states: A float64 array [K, ...] of FULLPHYSICS states.

    Returns:
      A dictionary like `derived`.
    """
    derived = self._empty(len(models))
    data = self._datas[0]
    for row, model in enumerate(models):
      if set(self._names) == {'cfrc_ext'}:
        break  # They are zero already.
      mujoco.mj_resetData(model, data)
      mujoco.mj_setState(model, data, states[row], FULL_PHYSICS)
      mujoco.mj_forward(model, data)
      self._copy(data, derived, row)
    return derived

  def step(self, models, start, controls, frame_skip):
    state = np.empty_like(start)
    derived = self._empty(len(models))
    # The rollout uses zeros for all controls of a row if one is not finite.
    # MuJoCo itself would clear them for one physics step.
    finite = np.isfinite(controls).all(axis=1, keepdims=True)
    controls = np.where(finite, controls, 0.0)
    # MuJoCo runs outside Python's lock, so threads share the cores.
    ends = np.linspace(0, len(models), len(self._datas) + 1).astype(int)

    def advance(thread):
      data: Any = self._datas[thread]
      for row in range(ends[thread], ends[thread + 1]):
        model = models[row]
        mujoco.mj_setState(model, data, start[row], FULL_PHYSICS)
        # As in the rollout, the solver starts cold.
        data.qacc_warmstart[:] = 0
        data.ctrl[:] = controls[row]
        mujoco.mj_step(model, data, frame_skip)
        if self._forces:
          mujoco.mj_rnePostConstraint(model, data)
        mujoco.mj_getState(model, data, state[row], FULL_PHYSICS)
        self._copy(data, derived, row)

    for _ in self._pool.map(advance, range(len(self._datas))):
      pass  # An exception of a thread would surface here.
    self.derived = derived
    # After a reset, less time than that of all steps has passed since zero.
    timesteps = np.array([model.opt.timestep for model in models])
    return state, state[:, 0] < start[:, 0] + (frame_skip - 0.5) * timesteps

  def close(self):
    self._pool.shutdown()

  def _empty(self, num_rows):
    return {
      name: np.zeros((num_rows, *getattr(self._datas[0], name).shape))
      for name in self._names
    }

  def _copy(self, data, derived, row):
    for name in self._names:
      derived[name][row] = getattr(data, name)
