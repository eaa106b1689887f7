"""Images of a MuJoCo body, rendered without a display."""

from collections.abc import Callable
import copy

import mujoco
import numpy as np

from maml_tf.environments.rendering import headless_graphics
from maml_tf.environments.rendering import renderer

# In metres.
_MARKER_RADIUS = 0.15
_MARKER_COLOUR = np.array([0.84, 0.15, 0.16, 1.0], np.float32)


class MujocoRenderer(renderer.Renderer):
  """Renders physics states through the model's first camera.

  It renders the same images as `mujoco.Renderer`, but chooses the OpenGL
  library when it is created, not when MuJoCo is imported.
  """

  def __init__(
    self,
    model: mujoco.MjModel,
    width: int,
    height: int,
    marker: np.ndarray | Callable[[np.ndarray], np.ndarray] | None = None,
    describe: Callable[[np.ndarray], str] | None = None,
  ):
    """Creates the OpenGL context and uploads the model.

    Args:
      model: The body.
      width: The width of the images in pixels.
      height: The height of the images in pixels.
      marker: A float array [3], the place of a red ball [m], or a function
        that returns it for a physics state. None: there is no ball.
      describe: Returns a line about a physics state. None: there is none.

    Raises:
      errors.UsageError: No OpenGL library works on this machine.
    """
    model = copy.copy(model)
    model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
    model.vis.global_.offheight = max(height, model.vis.global_.offheight)
    self._model = model
    if isinstance(marker, np.ndarray):
      place = marker
      self._marker = lambda state: place
    else:
      self._marker = marker
    self._describe = describe
    self._data = mujoco.MjData(model)
    self._gl_context = headless_graphics.create_context(width, height)
    with headless_graphics.current(self._gl_context):
      self._context = mujoco.MjrContext(
        model, mujoco.mjtFontScale.mjFONTSCALE_100.value
      )
      mujoco.mjr_setBuffer(
        mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context
      )
    self._rectangle = mujoco.MjrRect(0, 0, width, height)
    self._scene = mujoco.MjvScene(model, maxgeom=10000)
    self._options = mujoco.MjvOption()
    self._camera = mujoco.MjvCamera()
    if model.ncam:
      self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
      self._camera.fixedcamid = 0
    else:
      mujoco.mjv_defaultFreeCamera(model, self._camera)

  def __call__(self, states: np.ndarray) -> np.ndarray:
    mujoco.mj_setState(
      self._model,
      self._data,
      states[-1],
      mujoco.mjtState.mjSTATE_FULLPHYSICS.value,
    )
    mujoco.mj_forward(self._model, self._data)
    mujoco.mjv_updateScene(
      self._model,
      self._data,
      self._options,
      None,
      self._camera,
      mujoco.mjtCatBit.mjCAT_ALL.value,
      self._scene,
    )
    if self._marker is not None:
      self._add_marker(self._marker(states[-1]))
    image = np.empty(
      (self._rectangle.height, self._rectangle.width, 3), np.uint8
    )
    with headless_graphics.current(self._gl_context):
      mujoco.mjr_render(self._rectangle, self._scene, self._context)
      mujoco.mjr_readPixels(image, None, self._rectangle, self._context)
    # OpenGL counts rows from the bottom.
    return image[::-1].copy()

  def caption(self, states: np.ndarray) -> str:
    return '' if self._describe is None else self._describe(states[-1])

  def _add_marker(self, place):
    mujoco.mjv_initGeom(
      self._scene.geoms[self._scene.ngeom],
      mujoco.mjtGeom.mjGEOM_SPHERE.value,
      np.full(3, _MARKER_RADIUS),
      place,
      np.eye(3).ravel(),
      _MARKER_COLOUR,
    )
    self._scene.ngeom += 1

  def close(self) -> None:
    with headless_graphics.current(self._gl_context):
      self._context.free()
    self._gl_context.free()


# The class's name in version 0.1.0.
MujocoPainter = MujocoRenderer
