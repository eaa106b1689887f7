"""What TensorBoard shows of a run besides curves: its settings and films."""

from collections.abc import Mapping
import glob
import os

from PIL import Image
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.image import metadata as image_metadata
import tensorflow as tf

_EVENTS = 'events.out.tfevents.*'
# A folder of their own: TensorBoard goes on from the newest file of events in a
# folder, and would miss what a run under way writes to an older one.
FILMS_DIR = 'films'


def has_events(root_dir: str) -> bool:
  """Returns whether a run has written events."""
  return bool(glob.glob(os.path.join(glob.escape(root_dir), _EVENTS)))


def write_settings(
  writer: tf.summary.SummaryWriter,
  settings: Mapping[str, bool | int | float | str],
) -> None:
  """Writes settings as hyper-parameters of the HParams dashboard.

  Args:
    writer: The writer of the run's events.
    settings: The values by name.
  """
  with writer.as_default():
    hparams_api.hparams(dict(settings))
  writer.flush()


def write_film(root_dir: str, path: str, step: int) -> None:
  """Shows a film among TensorBoard's images, which play it.

  It replaces an earlier film from a file of that name.

  Args:
    root_dir: The run's folder.
    path: A gif. Its name without the extension is that of the film.
    step: The iteration that was filmed.

  Raises:
    OSError: The film cannot be read, or the events not be written.
  """
  name = os.path.splitext(os.path.basename(path))[0]
  with Image.open(path) as image:
    size = [str(length).encode() for length in image.size]
  with open(path, 'rb') as file:
    film = file.read()
  folder = os.path.join(root_dir, FILMS_DIR)
  # Without dots, so that no other film's name ends like it.
  suffix = '.' + name.replace('%', '%25').replace('.', '%2E')
  earlier = glob.glob(
    os.path.join(glob.escape(folder), _EVENTS + glob.escape(suffix))
  )
  try:
    writer = tf.summary.create_file_writer(folder, filename_suffix=suffix)
    with writer.as_default():
      # `tf.summary.image` would write still pictures.
      tf.summary.write(
        name,
        tf.constant([*size, film]),
        step=step,
        metadata=image_metadata.create_summary_metadata(
          display_name=None, description=None
        ),
      )
    writer.close()
  except tf.errors.OpError as error:
    raise OSError(error.message) from error
  for other in earlier:
    os.remove(other)
