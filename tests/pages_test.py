"""What the pages promise: error lines, the API reference, a site offline."""

import ast
import html.parser
import pathlib
import re

import pytest

import maml_tf
from tests import messages

_ROOT = pathlib.Path(__file__).parent.parent
_PACKAGE = _ROOT / 'maml_tf'
_SITE = _ROOT / 'build' / 'site'


def _quoted():
  """The error lines of Troubleshooting."""
  page = (_ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
  lines = page.split('\n## Error lines\n')[1]
  return re.findall(r'(?m)^\| `(.+?)` \|', lines)


def test_all_error_lines_of_the_page_are_in_the_code():
  texts = messages.all_texts()
  quoted = _quoted()
  assert len(quoted) > 300
  unknown = [line for line in quoted if not any(line in text for text in texts)]
  assert not unknown, 'Mend these lines of docs/troubleshooting.md.'


def test_the_page_has_all_error_lines_of_the_code():
  quoted = set(_quoted())
  # A line of a word or two is contained in many others.
  long = [line for line in quoted if len(re.findall(r'\w+', line)) > 4]
  missing = {
    f'{name}: {text}'
    for name, text in messages.errors()
    if text not in quoted and not any(line in text for line in long)
  }
  assert not missing, 'Add these lines to docs/troubleshooting.md.'


def _configurables():
  """The classes and functions that gin files may name, with their modules."""
  for path in sorted(_PACKAGE.rglob('*.py')):
    module = '.'.join(path.relative_to(_ROOT).with_suffix('').parts)
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
      if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and any(
        'gin.configurable' in ast.unparse(each) for each in node.decorator_list
      ):
        yield f'{module}.{node.name}'


def test_the_reference_has_all_public_names_and_all_that_configs_name():
  page = (_ROOT / 'docs' / 'api.md').read_text(encoding='utf-8')
  shown = set(re.findall(r'(?m)^::: (\S+)$', page))
  assert not set(_configurables()) - shown
  leaves = {name.rpartition('.')[2] for name in shown}
  assert not set(maml_tf.__all__) - leaves - {'testing'}


def test_all_pages_are_in_the_sites_navigation():
  config = (_ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
  for page in sorted((_ROOT / 'docs').glob('*.md')):
    assert f': docs/{page.name}\n' in config, page.name


class _Assets(html.parser.HTMLParser):
  """Collects what a page loads by itself; links to click do not count."""

  def __init__(self):
    super().__init__()
    self.found = []

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    is_link = tag == 'link' and values.get('rel') not in ('canonical', 'next')
    names = {'href'} if is_link else {'src', 'srcset', 'data', 'poster'}
    self.found += [value for name, value in attrs if name in names and value]


@pytest.mark.skipif(
  not _SITE.exists(), reason='mkdocs has not built the site; see CONTRIBUTING'
)
def test_the_site_loads_nothing_from_a_network():
  pages = sorted(_SITE.rglob('*.html'))
  assert len(pages) > 30
  for page in pages:
    assets = _Assets()
    assets.feed(page.read_text(encoding='utf-8'))
    foreign = [x for x in assets.found if re.match(r'(\w+:)?//', x)]
    assert assets.found
    assert not foreign, page
  for sheet in _SITE.rglob('*.css'):
    text = sheet.read_text(encoding='utf-8')
    assert not re.search(r'(url\(|@import)\s*[\'"]?(\w+:)?//', text), sheet
