"""Processes of a sweep run side by side, fail alone and stop together."""

import os
import signal
import threading
import time

import pytest

from maml_tf.sweeping import processes
from tests.sweeping import script_job

pytestmark = pytest.mark.skipif(
  not hasattr(os, 'sched_getaffinity'), reason='no affinity'
)

# As training does: it saves on SIGTERM, which takes a moment.
_SAVES = """
import signal, sys, time
def save(number, frame):
  print('saved', flush=True)
  sys.exit(143)
signal.signal(signal.SIGTERM, save)
print('ready', flush=True)
time.sleep(60)
"""


class _Report:
  """What started and ended, in order."""

  def __init__(self):
    self.events = []
    self.most_at_once = 0
    self._now = 0

  def started(self, index):
    self.events.append(('started', index))
    self._now += 1
    self.most_at_once = max(self.most_at_once, self._now)

  def ended(self, index, code):
    self.events.append(('ended', index, code))
    self._now -= 1


def _jobs(folder, *scripts):
  return [
    script_job.ScriptJob(str(folder / f'job {i}'), [script], [])
    for i, script in enumerate(scripts)
  ]


def _log(job):
  with open(job.log, encoding='utf-8') as file:
    return file.read()


def test_a_command_trains(tmp_path):
  job = processes.Job(str(tmp_path), ['point.gin'], ['f.x = (1, 2)'])
  assert job.command[1:] == [
    '-m',
    'maml_tf.train',
    '--gin_file=point.gin',
    '--gin_bindings=f.x = (1, 2)',
    f'--root_dir={tmp_path}',
  ]


def test_jobs_run_in_order_and_a_failure_ends_no_other(tmp_path):
  jobs = _jobs(tmp_path, 'print(1)', 'print("a fault\\n"); exit(3)', 'print(2)')
  report = _Report()
  assert processes.train(jobs, 1, report.started, report.ended) is None
  assert report.events == [
    ('started', 0),
    ('ended', 0, 0),
    ('started', 1),
    ('ended', 1, 3),
    ('started', 2),
    ('ended', 2, 0),
  ]
  assert [_log(job) for job in jobs] == ['1\n', 'a fault\n\n', '2\n']
  assert processes.last_line(jobs[1].log) == 'a fault'
  # A second start continues the log.
  processes.train(jobs[:1], 1, report.started, report.ended)
  assert _log(jobs[0]) == '1\n1\n'


def test_jobs_at_a_time_divide_the_processors(tmp_path):
  script = 'import os; print(sorted(os.sched_getaffinity(0)))'
  before = os.sched_getaffinity(0)
  for num_at_once, expected in ((1, [before]), (2, None)):
    jobs = _jobs(tmp_path, *[f'import time; time.sleep(0.5); {script}'] * 3)
    report = _Report()
    processes.train(jobs, num_at_once, report.started, report.ended)
    assert report.most_at_once == num_at_once
    used = [_log(job).splitlines()[-1] for job in jobs]
    if expected:
      assert set(used) == {str(sorted(before))}
    elif len(before) > 1:
      first, second = (
        set(map(int, u.strip('[]').split(','))) for u in used[:2]
      )
      assert not first & second and first | second == before
  assert os.sched_getaffinity(0) == before


def test_one_job_has_all_processors(tmp_path):
  script = 'import os; print(sorted(os.sched_getaffinity(0)))'
  (job,) = _jobs(tmp_path, script)
  processes.train([job], 4, lambda index: None, lambda index, code: None)
  assert _log(job).strip() == str(sorted(os.sched_getaffinity(0)))


def test_a_run_that_is_stopped_while_it_loads_has_a_code_of_its_own(tmp_path):
  (job,) = _jobs(tmp_path, 'import time; time.sleep(60)')
  process = processes.start(job)
  process.terminate()
  assert process.wait() in processes.STOPPED_CODES
  assert not processes.STOPPED_CODES & {0, 1, 2, -signal.SIGKILL}


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_waits_until_they_have_saved(tmp_path, number):
  jobs = _jobs(tmp_path, _SAVES, _SAVES, _SAVES)
  report = _Report()

  def send():
    for job in jobs[:2]:
      while not os.path.exists(job.log) or 'ready' not in _log(job):
        time.sleep(0.05)
    os.kill(os.getpid(), number)

  threading.Thread(target=send, daemon=True).start()
  assert processes.train(jobs, 2, report.started, report.ended) == number
  # The third does not start.
  assert report.events[:2] == [('started', 0), ('started', 1)]
  assert sorted(report.events[2:]) == [('ended', 0, 143), ('ended', 1, 143)]
  assert [_log(job) for job in jobs[:2]] == ['ready\nsaved\n'] * 2


def test_a_fault_of_the_report_leaves_no_process(tmp_path):
  jobs = _jobs(tmp_path, _SAVES)

  def fail(index):
    while not os.path.exists(jobs[0].log) or 'ready' not in _log(jobs[0]):
      time.sleep(0.05)
    raise OSError('no space left')

  with pytest.raises(OSError, match='no space'):
    processes.train(jobs, 1, fail, _Report().ended)
  assert _log(jobs[0]) == 'ready\nsaved\n'


def test_a_missing_log_has_no_last_line(tmp_path):
  assert processes.last_line(str(tmp_path / 'missing')) == ''
