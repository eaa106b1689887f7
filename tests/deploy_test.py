"""The container file and the Kubernetes manifest, linted and cross-checked."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import tensorflow as tf

_REASON = "the linters are not installed: pip install -e '.[deploy]'"
kubernetes_validate = pytest.importorskip('kubernetes_validate', reason=_REASON)
jsonschema = pytest.importorskip('jsonschema', reason=_REASON)
yaml = pytest.importorskip('yaml', reason=_REASON)
yamllint_config = pytest.importorskip('yamllint.config', reason=_REASON)
linter = pytest.importorskip('yamllint.linter', reason=_REASON)

_ROOT = pathlib.Path(__file__).parent.parent
_DOCKERFILE = (_ROOT / 'deploy' / 'Dockerfile').read_text()
_JOBSET = (_ROOT / 'deploy' / 'jobset.yaml').read_text()


def _closed(required=(), **properties):
  return {
    'type': 'object',
    'properties': properties,
    'required': list(required),
    'additionalProperties': False,
  }


# The fields of jobset.x-k8s.io/v1alpha2 that the manifest may use; the Job
# inside is checked against Kubernetes' own schema.
_JOBSET_SCHEMA = _closed(
  ['apiVersion', 'kind', 'metadata', 'spec'],
  apiVersion={'const': 'jobset.x-k8s.io/v1alpha2'},
  kind={'const': 'JobSet'},
  metadata=_closed(['name'], name={'type': 'string'}),
  spec=_closed(
    ['replicatedJobs'],
    network=_closed(
      enableDNSHostnames={'type': 'boolean'},
      subdomain={'type': 'string'},
      publishNotReadyAddresses={'type': 'boolean'},
    ),
    failurePolicy=_closed(
      maxRestarts={'type': 'integer'},
      rules={
        'type': 'array',
        'items': _closed(
          ['name', 'action'],
          name={'pattern': '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$'},
          action={
            'enum': [
              'FailJobSet',
              'RestartJobSet',
              'RestartJobSetAndIgnoreMaxRestarts',
            ]
          },
          onJobFailureReasons={
            'items': {
              'enum': [
                'BackoffLimitExceeded',
                'DeadlineExceeded',
                'FailedIndexes',
                'MaxFailedIndexesExceeded',
                'PodFailurePolicy',
              ]
            }
          },
        ),
      },
    ),
    replicatedJobs={
      'type': 'array',
      'minItems': 1,
      'items': _closed(
        ['name', 'template'],
        name={'type': 'string'},
        replicas={'type': 'integer'},
        template=_closed(['spec'], spec={'type': 'object'}),
      ),
    },
  ),
)


def _lint_dockerfile(text):
  """Returns hadolint's findings."""
  hadolint = pathlib.Path(sys.executable).parent / 'hadolint'
  done = subprocess.run(
    [hadolint, '--no-color', '-'], input=text, capture_output=True, text=True
  )
  assert not done.stderr
  assert (done.returncode == 0) == (not done.stdout)
  return done.stdout


def _check_manifest(text):
  """Returns the objects; raises an error if a cluster would reject them."""
  rules = yamllint_config.YamlLintConfig('extends: default')
  for problem in linter.run(text, rules):
    raise ValueError(str(problem))
  claim, jobset = yaml.safe_load_all(text)
  kubernetes_validate.validate(claim, _kubernetes(), strict=True)
  jsonschema.validate(jobset, _JOBSET_SCHEMA)
  for job in jobset['spec']['replicatedJobs']:
    kubernetes_validate.validate(
      {
        'apiVersion': 'batch/v1',
        'kind': 'Job',
        'metadata': {'name': job['name']},
        'spec': job['template']['spec'],
      },
      _kubernetes(),
      strict=True,
    )
  return claim, jobset


def _kubernetes():
  return kubernetes_validate.latest_version()


@pytest.fixture(name='jobset')
def read_jobset():
  return _check_manifest(_JOBSET)[1]


@pytest.fixture(name='pod')
def read_pod(jobset):
  (job,) = jobset['spec']['replicatedJobs']
  return job['template']['spec']['template']['spec']


@pytest.fixture(name='container')
def read_container(pod):
  (container,) = pod['containers']
  return container


def test_the_container_file_has_no_lint():
  assert _lint_dockerfile(_DOCKERFILE) == ''


@pytest.mark.parametrize(
  'right, wrong, finding',
  [
    (r'python:\S+', 'python', 'DL3006'),
    (r'python:\S+', 'python:latest', 'DL3007'),
    (' --no-cache-dir', '', 'DL3042'),
    ('WORKDIR /runs', 'WORKDIR runs', 'DL3000'),
    ('USER 1000', 'USER root', 'DL3002'),
    (r'ENTRYPOINT .*', 'ENTRYPOINT python -m maml_tf.train', 'DL3025'),
    ('COPY maml_tf', 'COPPY maml_tf', 'unexpected'),
  ],
)
def test_a_broken_container_file_is_found(right, wrong, finding):
  text, changes = re.subn(right, wrong, _DOCKERFILE)
  assert changes
  assert finding in _lint_dockerfile(text)


@pytest.mark.parametrize(
  'right, wrong, finding',
  [
    ('      replicas: 1', '     replicas: 1', 'syntax error'),
    ('  name: runs', '   name: runs', 'indentation'),
    ('kind: JobSet', 'kind: JobSet ', 'trailing spaces'),
    ('  network:', '  network: {}\n  network:', 'duplication'),
    ('restartPolicy:', 'restartPolcy:', 'restartPolcy'),
    ('image:', 'imagePath:', 'imagePath'),
    ('completions: 2', 'completions: two', 'two'),
    ('maxRestarts:', 'maxRestart:', 'maxRestart'),
    ('[PodFailurePolicy]', '[ExitCode]', 'ExitCode'),
    ('storage: 10Gi', 'storage: [10Gi]', '10Gi'),
    ('accessModes:', 'accessMode:', 'accessMode'),
  ],
)
def test_a_broken_manifest_is_found(right, wrong, finding):
  assert right in _JOBSET
  with pytest.raises(
    (
      ValueError,
      jsonschema.ValidationError,
      kubernetes_validate.ValidationError,
    ),
    match=finding,
  ):
    _check_manifest(_JOBSET.replace(right, wrong))


def test_workers_have_the_names_that_the_jobset_gives_pods(
  jobset, container, monkeypatch
):
  (job,) = jobset['spec']['replicatedJobs']
  spec = job['template']['spec']
  network = jobset['spec']['network']
  assert network['enableDNSHostnames']
  assert spec['completionMode'] == 'Indexed'
  assert spec['parallelism'] == spec['completions'] == 2
  (port,) = container['ports']
  # JOBSET-REPLICATEDJOB-JOB-POD.SUBDOMAIN
  names = [
    f'{jobset["metadata"]["name"]}-{job["name"]}-0-{index}'
    f'.{network["subdomain"]}:{port["containerPort"]}'
    for index in range(2)
  ]
  index_variable, tf_config = container['env']
  # Kubernetes substitutes variables that earlier lines of `env` define.
  assert 'job-completion-index' in str(index_variable['valueFrom'])
  text = tf_config['value']
  assert text.count('$(') == 1
  for index in range(2):
    monkeypatch.setenv(
      tf_config['name'],
      text.replace(f'$({index_variable["name"]})', str(index)),
    )
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert resolver.cluster_spec().as_dict() == {'worker': names}
    assert (resolver.task_type, resolver.task_id) == ('worker', index)


def test_the_pages_tf_config_is_one_cluster_with_a_role_for_each(monkeypatch):
  page = (_ROOT / 'docs' / 'many_machines.md').read_text()
  clusters, roles = [], []
  for text in re.findall(r"TF_CONFIG='(.*?)'", page, re.DOTALL):
    monkeypatch.setenv('TF_CONFIG', text.replace('\n', ' '))
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    clusters.append(resolver.cluster_spec().as_dict())
    roles.append((resolver.task_type, resolver.task_id))
  for cluster in clusters:
    assert cluster == clusters[0]
  workers = clusters[0]['worker']
  assert roles == [('worker', index) for index in range(len(workers))]


def test_a_pod_that_fails_restarts_all_unless_its_input_is_bad(jobset, pod):
  (job,) = jobset['spec']['replicatedJobs']
  spec, policy = job['template']['spec'], jobset['spec']['failurePolicy']
  assert spec['backoffLimit'] == 0
  assert policy['maxRestarts'] > 0
  # Kubernetes accepts a podFailurePolicy only with this policy.
  assert pod['restartPolicy'] == 'Never'
  (rule,) = spec['podFailurePolicy']['rules']
  assert rule['action'] == 'FailJob'
  assert rule['onExitCodes'] == {'operator': 'In', 'values': [2]}
  (rule,) = policy['rules']
  assert rule['action'] == 'FailJobSet'
  assert rule['onJobFailureReasons'] == ['PodFailurePolicy']
  # A stop takes up to 10 s.
  assert 15 <= pod['terminationGracePeriodSeconds'] <= 120


def test_the_run_is_on_the_claimed_volume_which_the_user_may_write(
  pod, container
):
  claim, _ = _check_manifest(_JOBSET)
  (volume,), (mount,) = pod['volumes'], container['volumeMounts']
  assert volume['name'] == mount['name']
  assert (
    volume['persistentVolumeClaim']['claimName'] == claim['metadata']['name']
  )
  flags = dict(argument.split('=', 1) for argument in container['args'])
  assert flags['--root_dir'].startswith(mount['mountPath'] + '/')
  (user,) = re.findall(r'^USER (\d+)$', _DOCKERFILE, re.MULTILINE)
  assert pod['securityContext'] == {
    'runAsNonRoot': True,
    'fsGroup': int(user),
  }


def test_the_flags_are_those_of_train(container):
  text = (_ROOT / 'maml_tf' / 'train.py').read_text(encoding='utf-8')
  known = re.findall(r"flags\.DEFINE_\w+\(\s*'(\w+)'", text)
  flags = dict(a.removeprefix('--').split('=') for a in container['args'])
  assert set(flags) <= set(known)
  assert (_ROOT / 'gin_configs' / flags['gin_file']).is_file()
  assert f"'{flags['strategy']}'" in text


def test_the_copied_files_are_enough_to_install(tmp_path):
  copies = re.findall(r'^COPY (.*)$', _DOCKERFILE, re.MULTILINE)
  for *sources, target in map(str.split, copies):
    for source in sources:
      if (_ROOT / source).is_dir():
        shutil.copytree(_ROOT / source, tmp_path / 'src' / target)
      else:
        (tmp_path / 'src').mkdir(exist_ok=True)
        shutil.copy(_ROOT / source, tmp_path / 'src' / target)
  subprocess.run(
    [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-index']
    + ['--no-build-isolation', '--wheel-dir', tmp_path, tmp_path / 'src'],
    check=True,
    capture_output=True,
  )
  (wheel,) = tmp_path.glob('*.whl')
  (entrypoint,) = re.findall(r'^ENTRYPOINT (.*)$', _DOCKERFILE, re.MULTILINE)
  module = json.loads(entrypoint)[-1].replace('.', '/')
  with zipfile.ZipFile(wheel) as archive:
    assert {
      f'{module}.py',
      'maml_tf/gin_configs/cheetah.gin',
      'maml_tf/policies/point/policy.json',
    } <= set(archive.namelist())
