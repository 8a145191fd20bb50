// Line charts as SVG: panels side by side over one legend. Colours follow the reader's light or dark theme; series differ
// in their marks, too. The same input gives the same text.

const panel = { height: 300, left: 84, top: 96, gap: 84, right: 28 };
const drawn = 880; // the width of all panels together, without what is between them
const legendColumn = 350;

const kinds = ["c0", "c1", "c2", "c3", "limit"];
const themes = {
  light: {
    paper: "#ffffff",
    text: "#1f2328",
    quiet: "#59636e",
    grid: "#d8dee4",
    series: ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#59636e"],
  },
  dark: {
    paper: "#0d1117",
    text: "#f0f6fc",
    quiet: "#9198a1",
    grid: "#2f353d",
    series: ["#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#9198a1"],
  },
};

const colours = ({ paper, text, quiet, grid, series }) =>
  [
    `.paper { fill: ${paper} } .value { stroke: ${paper} } .text { fill: ${text} } .quiet { fill: ${quiet} }`,
    `.grid { stroke: ${grid} } .axis { stroke: ${quiet} }`,
    ...series.map((colour, i) => `.${kinds[i]} .line { stroke: ${colour} } .${kinds[i]} .mark { fill: ${colour} }`),
  ].join("\n    ");

const style = `
    text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
    .title { font-size: 18px; font-weight: 600 } .head { font-size: 14px; font-weight: 600 } .value { font-weight: 600; stroke-width: 4; paint-order: stroke }
    .line { fill: none; stroke-width: 2 } .bold { stroke-width: 3 } .dashed { stroke-dasharray: 5 5 }
    ${colours(themes.light)}
    @media (prefers-color-scheme: dark) {
    ${colours(themes.dark)}
    }`;

const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const at = (value) => value.toFixed(1).replace(/\.0$/, "");

function text(x, y, content, { anchor = "start", kind = "text", turned = false } = {}) {
  const turn = turned ? ` transform="rotate(-90 ${at(x)} ${at(y)})"` : "";
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" class="${kind}"${turn}>${escaped(content)}</text>`;
}

/** A circle, square, triangle or diamond around a point. */
function mark(x, y, shape, r = 4) {
  if (shape === 0) return `<circle class="mark" cx="${at(x)}" cy="${at(y)}" r="${r}"/>`;
  const corners = ["-1 -1 1 -1 1 1 -1 1", "0 -1.3 1.2 0.9 -1.2 0.9", "0 -1.4 1.4 0 0 1.4 -1.4 0"][shape - 1].split(" ");
  const points = corners.map((part, i) => at((i % 2 === 0 ? x : y) + Number(part) * r)).join(" ");
  return `<polygon class="mark" points="${points}"/>`;
}

/** Maps [low, high] of an axis to [from, to]. */
function scale({ low, high, log }, from, to) {
  const place = log ? Math.log2 : (value) => value;
  return (value) => from + ((place(value) - place(low)) / (place(high) - place(low))) * (to - from);
}

function drawPanel({ title, x, y, series }, left, width) {
  const [right, top, bottom] = [left + width, panel.top, panel.top + panel.height];
  const px = scale(x, left, right);
  const py = scale(y, bottom, top);
  const out = [text(left, top - 14, title, { kind: "text head" })];
  for (const tick of y.ticks) {
    out.push(`<line class="grid" x1="${at(left)}" x2="${at(right)}" y1="${at(py(tick))}" y2="${at(py(tick))}"/>`);
    out.push(text(left - 8, py(tick) + 4, y.format(tick), { anchor: "end", kind: "quiet" }));
  }
  for (const tick of x.ticks) {
    out.push(
      `<line class="axis" x1="${at(px(tick))}" x2="${at(px(tick))}" y1="${at(bottom)}" y2="${at(bottom + 5)}"/>`,
    );
    out.push(text(px(tick), bottom + 19, x.format(tick), { anchor: "middle", kind: "quiet" }));
  }
  out.push(`<line class="axis" x1="${at(left)}" x2="${at(right)}" y1="${at(bottom)}" y2="${at(bottom)}"/>`);
  out.push(text((left + right) / 2, bottom + 40, x.label, { anchor: "middle" }));
  out.push(text(left - 54, (top + bottom) / 2, y.label, { anchor: "middle", turned: true }));
  for (const { kind, shape, points, bold, dashed, values } of series) {
    const line = points.map((point) => `${at(px(point.x))},${at(py(point.y))}`).join(" ");
    const lineKind = `line${bold ? " bold" : ""}${dashed ? " dashed" : ""}`;
    out.push(`<g class="${kind}"><polyline class="${lineKind}" points="${line}"/>`);
    if (shape !== undefined) for (const point of points) out.push(mark(px(point.x), py(point.y), shape));
    out.push("</g>");
    if (values)
      for (const point of points)
        out.push(text(px(point.x), py(point.y) - 10, values(point.y), { anchor: "middle", kind: "text value" }));
  }
  return out;
}

/**
 * @param chart { title, subtitle, panels, notes }: a panel is { title, x, y, series }, an axis { label, low, high, log, ticks,
 * format }, a series { name, kind, shape, points: [{ x, y }], bold, dashed, values }, notes are lines under the legend
 */
export function lineChart({ title, subtitle, panels, notes }) {
  const all = panels.flatMap(({ series }) => series).sort((a, b) => Number(b.bold ?? false) - Number(a.bold ?? false));
  const named = new Map(all.map((one) => [one.name, one])); // the bold ones first
  const width = panel.left + drawn + panel.right;
  const each = (drawn - (panels.length - 1) * panel.gap) / panels.length;
  const legendTop = panel.top + panel.height + 64;
  const perRow = Math.floor(width / legendColumn);
  const rows = Math.ceil(named.size / perRow);
  const height = legendTop + rows * 20 + notes.length * 18 + 16;
  const body = [
    text(16, 30, title, { kind: "text title" }),
    text(16, 52, subtitle, { kind: "quiet" }),
    ...panels.flatMap((one, i) => drawPanel(one, panel.left + i * (each + panel.gap), each)),
  ];
  for (const [i, { name, kind, shape, bold, dashed }] of [...named.values()].entries()) {
    const x = 24 + (i % perRow) * legendColumn;
    const y = legendTop + Math.floor(i / perRow) * 20;
    const lineKind = `line${bold ? " bold" : ""}${dashed ? " dashed" : ""}`;
    const sample = `<line class="${lineKind}" x1="${x}" x2="${x + 26}" y1="${y}" y2="${y}"/>`;
    body.push(`<g class="${kind}">${sample}${shape === undefined ? "" : mark(x + 13, y, shape)}</g>`);
    body.push(text(x + 34, y + 4, name));
  }
  for (const [i, note] of notes.entries())
    body.push(text(16, legendTop + rows * 20 + 8 + i * 18, note, { kind: "quiet" }));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title).replaceAll('"', "&quot;")}">
  <style>${style}
  </style>
  <rect class="paper" width="${width}" height="${height}" rx="8"/>
  ${body.join("\n  ")}
</svg>
`;
}
