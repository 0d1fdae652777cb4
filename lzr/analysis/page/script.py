"""The page's own scripts: plotly.js kept to the policy, the charts, and the table that is searched."""

from __future__ import annotations

PRELUDE = """
"use strict";
// plotly.js sets styles by attribute, which the policy refuses; by the object model it is allowed.
(function () {
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style" && this.style) { this.style.cssText = value; } else { set.call(this, name, value); }
  };
})();
"""

APP = """
"use strict";
(function () {
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts"), rows = read("services-data");
  const tint = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plain = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const cut = text => text.length > 32 ? text.slice(0, 31) + "\\u2026" : text;
  const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

  function figure(chart) {
    const ink = tint("--ink"), faint = tint("--line"), accent = tint(chart.tone === "warn" ? "--warn" :
    "--accent"); const axis = { gridcolor: faint, zerolinecolor: faint, tickfont: { color: tint("--soft") },
    fixedrange: true, automargin: true };
    const layout = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: font,
    size: 13, color: ink }, hoverlabel: { bgcolor: tint("--card"), bordercolor: accent, font: { family:
    font, color: ink } }, margin: { l: 10, r: 44, t: 6, b: 30 }, showlegend: false, dragmode: false };
    if (chart.kind === "bars") {
      const names = chart.labels.map(plain), at = chart.labels.map((_, i) => i);
      const most = Math.max(1, ...chart.values);
      layout.height = Math.max(90, 27 * names.length + 44);
      layout.bargap = 0.32;
      layout.yaxis = Object.assign({}, axis, { autorange: "reversed", tickvals: at,
        ticktext: chart.labels.map(label => plain(cut(label))), showgrid: false, zeroline: false,
        tickfont: { color: ink }, ticklabelstandoff: 6 });
      layout.xaxis = Object.assign({}, axis, { range: [0, most * 1.14], tickformat: "~s", nticks: 5,
      zeroline: false, rangemode: "tozero" });
      return [[{ type: "bar", orientation: "h", x: chart.values, y: at, customdata: names,
        text: chart.values.map(value => value.toLocaleString("en-US")), textposition: "outside", cliponaxis:
        false, textfont: { color: tint("--soft"), size: 12 }, marker: { color: accent, cornerradius: 3 },
        hovertemplate: "%{customdata}<br><b>%{x:,}</b><extra></extra>" }], layout];
    }
    layout.height = 240;
    layout.margin = { l: 44, r: 16, t: 8, b: 34 };
    layout.xaxis = Object.assign({}, axis, { type: "date", showgrid: false });
    layout.yaxis = Object.assign({}, axis, { rangemode: "tozero", tickformat: "~s", nticks: 5 });
    return [[{ type: "scatter", mode: "lines", x: chart.labels, y: chart.values, fill: "tozeroy",
      line: { color: accent, width: 2 }, fillcolor: tint("--wash"),
      hovertemplate: "%{x}<br><b>%{y:,}</b><extra></extra>" }], layout];
  }

  const places = Array.from(document.querySelectorAll("[data-chart]"));
  function draw(again) {
    for (const place of places) {
      const [data, layout] = figure(charts[Number(place.dataset.chart)]);
      if (!again) { place.textContent = ""; }
      place.style.height = layout.height + "px"; // what plotly.js goes by when the window changes its size
      Plotly[again ? "react" : "newPlot"](place, data, layout, { displayModeBar: false, responsive: true });
    }
  }
  if (window.Plotly) {
    draw(false);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  }

  // The table.
  const body = document.getElementById("rows"), more = document.getElementById("more"); const search =
  document.getElementById("search"), off = document.getElementById("off"); const hits =
  document.getElementById("hits"); const haystack = rows.map(row => row.slice(0, 6).join(" ").toLowerCase());
  const STEP = 100;
  let order = rows.map((_, i) => i), found = order, shown = 0, sorted = -1, down = false;

  function cell(line, text, kind) {
    const made = line.insertCell();
    if (kind) { made.className = kind; }
    made.textContent = text;
    return made;
  }
  function add() {
    for (const i of found.slice(shown, shown + STEP)) {
      const row = rows[i], line = body.insertRow();
      cell(line, row[0], "");
      cell(line, row[1], "num");
      const label = cell(line, row[2], "");
      if (row[6]) {
        const pill = document.createElement("span");
        pill.className = "pill";
        pill.textContent = "off port";
        label.append(" ", pill);
      }
      cell(line, row[3], "");
      cell(line, row[4], "");
      const first = document.createElement("code");
      first.textContent = row[5];
      line.insertCell().append(first);
    }
    shown = Math.min(shown + STEP, found.length);
    more.hidden = shown >= found.length;
    hits.textContent = found.length.toLocaleString("en-US") + (found.length === 1 ? " service" : " services");
  }
  function filter() {
    const words = search.value.toLowerCase().split(/\\s+/).filter(word => word);
    found = order.filter(i => (!off.checked || rows[i][6]) && words.every(word =>
    haystack[i].includes(word))); body.textContent = "";
    shown = 0;
    add();
  }
  function by(column) {
    down = sorted === column && !down;
    sorted = column;
    const sign = down ? -1 : 1;
    order.sort((a, b) => sign * (column === 1 ? rows[a][1] - rows[b][1]
      : rows[a][column].localeCompare(rows[b][column], "en", { numeric: true })));
    document.querySelectorAll(".services thead th").forEach((head, i) => {
      if (i === column) { head.setAttribute("aria-sort", down ? "descending" : "ascending"); }
      else { head.removeAttribute("aria-sort"); }
    });
    filter();
  }
  let timer = 0;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  off.addEventListener("change", filter);
  more.addEventListener("click", add);
  document.querySelectorAll(".services thead button").forEach((button, i) =>
    button.addEventListener("click", () => by(i)));
  filter();
  document.documentElement.dataset.ready = "yes";
})();
"""
