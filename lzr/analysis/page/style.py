"""The page's style sheet: light and dark, wide and narrow, on the screen and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light
dark;--bg:#f5f6f8;--card:#fff;--ink:#17202c;--soft:#5b6776;--line:#e3e7ec;--accent:#2563c9;
--wash:#2563c922;--warn:#c2600a;--good:#1c7c4c;--head:#101a2b;--head2:#1c2f52;
--h1:#e8effb;--h2:#cfdff7;--h3:#aac7f0;--h4:#7fa9e6;--h5:#4f86d8;--h6:#2a66c4;--h7:#174a9c} @media
(prefers-color-scheme:dark){:root{--bg:#0e131b;--card:#161d28;--ink:#e6ebf2;--soft:#98a5b6;--line:#273141;
--accent:#6ea3f5;--wash:#6ea3f52e;--warn:#eb9a4a;--good:#5cc28e;--head:#0a0f17;--head2:#16233c;
--h1:#182338;--h2:#1d3050;--h3:#234070;--h4:#2c5494;--h5:#3a6cbb;--h6:#5589dd;--h7:#86b0f7}}
*{box-sizing:border-box} html{scroll-behavior:smooth;scroll-padding-top:56px;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,
'Noto Sans',sans-serif}
.inner,main{max-width:1200px;margin:0 auto;padding:0 22px}
header{background:linear-gradient(135deg,var(--head),var(--head2));color:#eef3fa;padding:34px 0 30px}
header .mark{margin:0;font-size:12px;letter-spacing:.16em;text-transform:uppercase;opacity:.7}
h1{margin:.15em 0 .1em;font-size:clamp(22px,3.4vw,34px);line-height:1.2;overflow-wrap:anywhere}
header .sub{margin:0 0 22px;opacity:.8;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:13px 15px;min-width:0}
.tile b{display:block;font-size:24px;line-height:1.2;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile span{display:block}
.tile small{display:block;color:var(--soft);margin-top:2px}
.tile.warn b{color:var(--warn)}
.tile.good b{color:var(--good)}
header .tile{background:#ffffff12;border-color:#ffffff24}
header .tile small{color:#c5d2e6}
header .tile.warn b{color:#ffbe7d}
nav{position:sticky;top:0;z-index:5;background:var(--card);border-bottom:1px solid var(--line)}
nav .inner{display:flex;gap:4px;overflow-x:auto;scrollbar-width:none}
nav a{padding:12px 11px;color:var(--soft);text-decoration:none;white-space:nowrap;font-size:14px}
nav a:hover,nav a:focus-visible{color:var(--accent)}
section{padding:34px 0 6px}
h2{margin:0 0 4px;font-size:22px}
.intro{margin:0 0 16px;color:var(--soft);max-width:78ch}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;align-items:start}
.wide{grid-column:1/-1}
p.wide{margin:0;max-width:78ch}
p.warn{color:var(--warn)}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px
18px;margin:0;min-width:0} figcaption{font-weight:600;margin-bottom:8px}
.note{margin:8px 0 0;color:var(--soft);font-size:13px}
svg.chart{display:block;width:100%;height:auto;overflow:visible}
svg.chart .label{fill:var(--ink);font-size:13px}
svg.chart .value{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
svg.chart .bar,svg.share .bar{fill:var(--accent)}
svg.chart .bar.warn,svg.share .bar.warn{fill:var(--warn)}
svg.chart .line{fill:none;stroke:var(--accent);stroke-width:2}
svg.chart .area{fill:var(--wash)}
svg.chart .track,svg.share .track{fill:var(--line)}
svg.share{width:60px;height:8px;vertical-align:middle;margin-right:6px}
.scroll{overflow:auto;max-height:620px}
.scroll thead th{position:sticky;top:0;background:var(--card);z-index:1;box-shadow:0 1px 0 var(--line)}
.services{font-size:13.5px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:7px 10px;border-bottom:1px solid
var(--line);vertical-align:top;overflow-wrap:break-word;max-width:42ch}
td:last-child{overflow-wrap:anywhere;max-width:none} thead
th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap} tbody tr:last-child td,tbody
tr:last-child th{border-bottom:0}
th.num{text-align:right}
td.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
table.matrix{border-spacing:3px;border-collapse:separate;width:auto;min-width:100%} .matrix th,.matrix
td{border:0;padding:6px 8px;white-space:nowrap} .matrix
td{text-align:right;border-radius:5px;font-variant-numeric:tabular-nums;font-size:13px;min-width:44px}
.matrix thead th{text-align:right} .matrix tbody th{font-weight:500}
.h1{background:var(--h1)}.h2{background:var(--h2)}.h3{background:var(--h3)}.h4{background:var(--h4)}
.h5{background:var(--h5);color:#fff}.h6{background:var(--h6);color:#fff}.h7{background:var(--h7);color:#fff}
@media (prefers-color-scheme:dark){.h7{color:#0b1220}}
.due{outline:2px solid var(--good);outline-offset:-2px}
.search{display:flex;flex-wrap:wrap;gap:10px 14px;align-items:center;margin-bottom:12px}
.search>label:first-child{font-weight:600}
input[type=search]{flex:1 1 320px;min-width:0;font:inherit;color:inherit;background:var(--bg);
border:1px solid var(--line);border-radius:8px;padding:9px 12px}
input[type=search]:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.check{color:var(--soft);white-space:nowrap}
output{color:var(--soft);font-variant-numeric:tabular-nums}
.services th button{all:unset;cursor:pointer;color:inherit}
.services th button:focus-visible{outline:2px solid var(--accent)}
.services th[aria-sort=ascending] button::after{content:" \\2191"}
.services th[aria-sort=descending] button::after{content:" \\2193"}
.services td:first-child{white-space:nowrap}
.services{min-width:760px}
code{font:12.5px/1.45 ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans
Mono',monospace;overflow-wrap:anywhere} .pill{display:inline-block;font-size:11px;line-height:1;padding:3px
6px;border-radius:99px;color:var(--warn); border:1px solid currentColor;white-space:nowrap}
#more{margin-top:12px;font:inherit;color:var(--accent);background:none;border:1px solid
var(--line);border-radius:8px; padding:8px 16px;cursor:pointer}
footer{max-width:1200px;margin:26px auto 0;padding:18px 22px 40px;color:var(--soft);font-size:13px;
overflow-wrap:anywhere}
.js-plotly-plot .plotly,.js-plotly-plot .plotly div{direction:ltr;margin:0;padding:0}
.js-plotly-plot .plotly .svg-container{position:relative;width:100%;height:100%}
.js-plotly-plot .plotly .main-svg{position:absolute;top:0;left:0;pointer-events:none}
.js-plotly-plot .plotly .main-svg .draglayer{pointer-events:all}
.js-plotly-plot .plotly .crisp{shape-rendering:crispEdges}
.js-plotly-plot .plotly .user-select-none{user-select:none}
@media (max-width:800px){.scroll table{min-width:580px}
.grid{grid-template-columns:minmax(0,1fr)}.inner,main{padding:0
14px}.card{padding:13px} header{padding:24px 0
22px}.tiles{grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:9px}} @media
print{nav,.search,#more{display:none}body{background:#fff}.card{break-inside:avoid}header{color:#000;
background:none}header .tile{border-color:#bbb}header .tile small{color:#444}} @media
(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""
