"""The style of a comparison's page: for phones, light and dark."""

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1c1e21; --soft: #5c6370; --paper: #ffffff; --card: #f5f6f8;
  --line: #d9dce1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8eb; --soft: #a2a9b4; --paper: #15171a; --card: #1f2226;
    --line: #363b42;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1rem; color: var(--ink);
  background: var(--paper); line-height: 1.45;
  font-family: system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
}
h1 { font-size: 1.6rem; margin: 0.5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
p { margin: 0.4rem 0; }
.soft, figcaption { color: var(--soft); font-size: 0.88rem; }
.key { list-style: none; padding: 0; display: grid; gap: 0.5rem; }
.key li { display: flex; gap: 0.6rem; align-items: baseline; }
.letter {
  flex: none; min-width: 1.7rem; padding: 0 0.35rem; border-radius: 0.3rem;
  color: #fff; font-weight: 600; text-align: center; display: inline-block;
}
.letter.dashed { outline: 2px dashed var(--soft); }
.letter.dashdot { outline: 3px double var(--soft); }
.letter.dotted { outline: 2px dotted var(--soft); }
.remark { border-left: 3px solid #d08700; padding-left: 0.6rem; }
.label { font-weight: 600; overflow-wrap: anywhere; }
.grid {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
}
figure {
  margin: 0; padding: 0.7rem; background: var(--card); border-radius: 0.5rem;
  border: 1px solid var(--line);
}
figure svg, figure img, figure video {
  display: block; width: 100%; height: auto; border-radius: 0.25rem;
}
figcaption { margin-top: 0.4rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td {
  padding: 0.35rem 0.8rem 0.35rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); font-size: 0.92rem;
}
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.settings td:first-child {
  position: sticky; left: 0; background: var(--paper);
}
.settings td, .settings td:first-child {
  font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 0.84rem;
}
.missing { color: var(--soft); }
@media (max-width: 40rem) {
  .cards thead { display: none; }
  .cards, .cards tbody, .cards tr, .cards td { display: block; width: 100%; }
  .cards tr {
    padding: 0.5rem 0.8rem; margin-bottom: 0.7rem; background: var(--card);
    border: 1px solid var(--line); border-radius: 0.5rem;
  }
  .cards td {
    display: flex; justify-content: space-between; gap: 1rem; border: 0;
    padding: 0.12rem 0; white-space: normal; overflow-wrap: anywhere;
  }
  .settings td:first-child { background: none; white-space: normal; }
  .cards td::before {
    content: attr(data-name); color: var(--soft); flex: none;
  }
}
"""
