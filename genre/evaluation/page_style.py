"""The style of the pages of reports."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f4f6f8; --ink: #1d232a; --faint: #5b6673; --line: #d7dde3;
  --accent: #2b5c8a; --heat: 43 92 138; --train: #7b8794; --val: #2b5c8a; --test: #c2621a;
  --leak: #b3142a; --leak-paper: #fdecee;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --card: #1d232a; --ink: #e7ebef; --faint: #a3afbb; --line: #36404a;
    --accent: #8fc1ee; --heat: 78 140 196; --train: #9aa6b2; --val: #8fc1ee; --test: #f0a062;
    --leak: #ff9aa6; --leak-paper: #3a171c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
main { max-width: 72rem; margin: 0 auto; padding: 1.25rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; }
.faint, figcaption, caption, dt { color: var(--faint); font-size: .875rem; }
.leak {
  background: var(--leak-paper); color: var(--leak); border: 2px solid var(--leak); border-radius: .5rem;
  padding: .75rem 1rem; margin: 1rem 0; font-weight: 700;
}
.notes { padding-left: 1.1rem; margin: .5rem 0; }
dl { margin: 1rem 0; }
dd { margin: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .5rem 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; }
.cards > div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem; }
.cards dd { font-size: 1.35rem; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
.cards > div:first-child { grid-column: span 2; }
.cards > div:first-child dd { font-size: 1.6rem; }
.scroll { overflow-x: auto; max-width: 100%; margin: .75rem 0; }
.scroll:focus-visible, pre:focus-visible, summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px;
}
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; padding-bottom: .35rem; }
th, td { padding: .3rem .5rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { font-weight: 600; color: var(--faint); vertical-align: bottom; }
tbody th { font-weight: 600; white-space: nowrap; position: sticky; left: 0; background: var(--paper); }
@media (max-width: 30rem) { th, td { padding: .3rem .4rem; } }
.n { text-align: right; white-space: nowrap; }
.t { min-width: 3.5rem; }
td.t:last-child { min-width: 9rem; }
.bar {
  display: block; width: clamp(3.5rem, 16vw, 9rem); height: .8rem; margin-top: .35rem; background: var(--line);
  border-radius: .2rem; overflow: hidden;
}
.bar > span { display: block; height: 100%; background: var(--accent); }
.matrix { font-size: .8rem; }
.matrix th, .matrix td { padding: .25rem; border: 1px solid var(--line); }
.matrix td { min-width: 2.1rem; text-align: center; background: rgb(var(--heat) / var(--s)); }
.matrix td.full { color: #ffffff; }
.matrix td.right { outline: 2px solid var(--accent); outline-offset: -2px; font-weight: 700; }
.matrix thead th { vertical-align: bottom; }
.matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.matrix .corner { font-weight: 400; white-space: nowrap; }
.pair { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.pair > * { max-width: 100%; min-width: 0; }
.curves { margin: .5rem 0; flex: 1 1 20rem; max-width: 34rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--faint); font-size: 14px; }
svg .grid { stroke: var(--line); }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
polyline.train { stroke: var(--train); } polyline.val { stroke: var(--val); } polyline.test { stroke: var(--test); }
circle.train { fill: var(--train); } circle.val { fill: var(--val); } circle.test { fill: var(--test); }
polyline.dashed { stroke-dasharray: 6 4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1rem; margin: .25rem 0 0; padding: 0; }
.legend li::before {
  content: ""; display: inline-block; width: 1.4rem; margin-right: .4rem; vertical-align: middle;
  border-top: 3px solid;
}
.legend li.dashed::before { border-top-style: dashed; }
.legend li.train::before { border-color: var(--train); }
.legend li.val::before { border-color: var(--val); }
.legend li.test::before { border-color: var(--test); }
figure { margin: 1rem 0; min-width: 0; }
.pictures {
  display: grid; gap: 0 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr));
}
figure .scroll { margin: 0; }
figure .scroll img {
  display: block; background: #ffffff; border-radius: .4rem; width: 100%; min-width: 30rem; max-width: 44rem;
  height: auto;
}
.clips {
  list-style: none; padding: 0; margin: 1rem 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
}
.clips li { background: var(--card); border-radius: .5rem; padding: .75rem; }
.clips p { margin: .15rem 0; }
.clips audio { width: 100%; margin-top: .5rem; display: block; }
.spectrogram { display: block; width: 100%; height: 7.5rem; border-radius: .3rem; margin-bottom: .5rem; }
.verdict { font-weight: 650; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; padding: .35rem 0; font-weight: 600; }
pre {
  background: var(--card); border-radius: .5rem; padding: .75rem; overflow-x: auto; font-size: .85rem;
  line-height: 1.45;
}
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media print { .scroll, pre { overflow: visible; } }
"""
