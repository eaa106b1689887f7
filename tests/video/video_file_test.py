"""Videos as files, read back."""

import importlib.util
import re

import numpy as np
from PIL import Image
import pytest

from maml_tf.video import video_file

_HAS_FFMPEG = importlib.util.find_spec('imageio_ffmpeg') is not None


def _pictures(num=4):
  """Grey pictures [6, 8, 3], brighter and brighter."""
  return [np.full((6, 8, 3), 50 * i, np.uint8) for i in range(num)]


def test_a_gif_has_the_pictures_and_their_time(tmp_path):
  path = str(tmp_path / 'a.gif')
  video_file.write(path, iter(_pictures()), fps=20)
  with Image.open(path) as image:
    assert image.n_frames == 4
    assert image.size == (8, 6)
    assert image.info['loop'] == 0
    for i in range(4):
      image.seek(i)
      assert image.info['duration'] == 50
      grey = np.asarray(image.convert('RGB'))
      np.testing.assert_allclose(grey, 50 * i, atol=2)
  assert [p.name for p in tmp_path.iterdir()] == ['a.gif']


@pytest.mark.skipif(not _HAS_FFMPEG, reason='imageio-ffmpeg is not installed')
def test_an_mp4_has_the_pictures(tmp_path):
  path = str(tmp_path / 'a.mp4')
  video_file.write(path, [np.zeros((32, 48, 3), np.uint8)] * 5, fps=10)
  reader = video_file.imageio.get_reader(path)
  assert reader.count_frames() == 5
  assert reader.get_meta_data()['size'] == (48, 32)
  reader.close()


def test_the_slowest_gif(tmp_path):
  path = str(tmp_path / 'a.gif')
  video_file.check(path, 0.002)
  video_file.write(path, iter(_pictures()), fps=0.002)
  with Image.open(path) as image:
    assert image.info['duration'] == 500_000


def test_a_failure_leaves_the_old_video(tmp_path):
  def break_off():
    yield from _pictures(2)
    raise RuntimeError('no more')

  path = tmp_path / 'a.gif'
  path.write_bytes(b'old')
  with pytest.raises(RuntimeError, match='no more'):
    video_file.write(str(path), break_off(), fps=20)
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
  ('path', 'fps', 'message'),
  [
    (
      'a.avi',
      20,
      'a.avi is not a video: give a name that ends in .gif or .mp4',
    ),
    ('a.gif', 60, 'fps is 60: give at most 50, the fastest that a gif'),
    ('a.gif', 0, 'fps is 0: give a finite number of at least 0.002'),
    ('a.gif', 1e-9, 'fps is 1e-09: give a finite number of at least 0.002'),
    ('a.mp4', 1e-3, 'fps is 0.001: give a finite number of at least 0.01'),
    ('a.mp4', 1e9, 'of at least 0.01 and of at most 1000'),
    ('folder.gif', 20, 'folder.gif is a folder: give the name of a file'),
    ('.', 20, '. is a folder: give the name of a file'),
    ('a' * 250 + '.gif', 20, '--out is too long'),
    ('nowhere/a.gif', 20, 'nowhere is not a folder'),
  ],
)
def test_videos_that_cannot_be_written(
  path, fps, message, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'folder.gif').mkdir()
  with pytest.raises(ValueError, match=re.escape(message)):
    video_file.check(path, fps)
  video_file.check('a.gif', 50)


@pytest.mark.skipif(_HAS_FFMPEG, reason='imageio-ffmpeg is installed')
def test_an_mp4_names_the_missing_package():
  with pytest.raises(ValueError, match='a.mp4 needs imageio-ffmpeg: pip inst'):
    video_file.check('a.mp4', 20)
