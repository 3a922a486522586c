// Draws the plots of a page from the JSON beside them, in the colours of the page, and again when those change.
(function () {
  "use strict";

  // After Okabe and Ito, "Color Universal Design": told apart by colour-blind people too. Hatching and dashes help.
  const COLOURS = {
    light: { right: "#0072b2", wrong: "#d55e00", maybe: "#b07d00", plain: "#6b6b6b" },
    dark: { right: "#56b4e9", wrong: "#e69f00", maybe: "#f0e442", plain: "#b3ada2" },
  };
  const OPTIONS = { responsive: true, displayModeBar: false, displaylogo: false };
  const plots = new Map();

  function themed(figure) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim();
    const line = style.getPropertyValue("--line").trim();
    const surface = style.getPropertyValue("--surface").trim();
    const colours = COLOURS[document.documentElement.dataset.bsTheme === "dark" ? "dark" : "light"];
    const data = figure.data.map(function (trace) {
      const colour = colours[trace.meta ? trace.meta.role : "right"];
      const marker = { ...trace.marker, color: colour };
      marker.line = { ...marker.line, color: colour };
      if (marker.pattern) {
        marker.pattern = { ...marker.pattern, fgcolor: surface };
      }
      return { ...trace, marker, line: { ...trace.line, color: colour } };
    });
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
    const layout = {
      ...figure.layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: 13, family: "system-ui, sans-serif" },
      hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: ink } },
      dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: { ...figure.layout.xaxis, ...axis },
      yaxis: { ...figure.layout.yaxis, ...axis },
      shapes: (figure.layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: ink } })),
    };
    return { data, layout };
  }

  function draw(name) {
    const { place, figure } = plots.get(name);
    const { data, layout } = themed(figure);
    return Plotly.react(place, data, layout, OPTIONS);
  }

  document.querySelectorAll("script[data-figure]").forEach(function (source) {
    const name = source.dataset.figure;
    const place = document.querySelector(`[data-plot="${CSS.escape(name)}"]`);
    place.hidden = false;
    plots.set(name, { place, figure: JSON.parse(source.textContent) });
    draw(name);
  });

  new MutationObserver(() => plots.forEach((_, name) => draw(name))).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-bs-theme"],
  });

  // What other scripts of the page change: values of shapes by the slider they belong to, and the points of a trace.
  window.statisticsPlots = {
    names: () => [...plots.keys()],
    move(name, values) {
      const { place, figure } = plots.get(name);
      const changes = {};
      (figure.layout.shapes || []).forEach(function (shape, number) {
        if (shape.name in values) {
          shape.x0 = shape.x1 = values[shape.name];
          changes[`shapes[${number}].x0`] = changes[`shapes[${number}].x1`] = values[shape.name];
        }
      });
      if (Object.keys(changes).length) {
        Plotly.relayout(place, changes);
      }
    },
    point(name, x, y) {
      const { place, figure } = plots.get(name);
      Object.assign(figure.data.at(-1), { x: [x], y: [y] });
      Plotly.restyle(place, { x: [[x]], y: [[y]] }, [figure.data.length - 1]);
    },
  };
})();
