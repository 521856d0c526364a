"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const darkPage = window.matchMedia("(prefers-color-scheme: dark)");
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: false,
    scrollZoom: false,
    doubleClick: "reset",
    showTips: false,
  };

  const theme = (dark) => {
    const text = dark ? "#c9d0d8" : "#3c444d";
    const axis = {
      gridcolor: dark ? "#2b323a" : "#e9ecef",
      zerolinecolor: dark ? "#59636e" : "#b4bcc5",
      linecolor: dark ? "#59636e" : "#b4bcc5",
      title: { font: { size: 12, color: text } },
      tickfont: { size: 11, color: text },
      fixedrange: true,
    };
    return {
      data: { scatter: [{ marker: { line: { color: dark ? "#ffffff" : "#222222" } } }] },
      layout: {
        font: { color: text },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: axis,
        yaxis: axis,
        hoverlabel: {
          bgcolor: dark ? "#2b323a" : "#ffffff",
          bordercolor: dark ? "#59636e" : "#b4bcc5",
          font: { color: dark ? "#e6e9ed" : "#1d2126" },
        },
      },
    };
  };
  let template = theme(darkPage.matches);

  const nameOf = (plot) => {
    if (!plot.dataset.pairs) return plot.dataset.figure;
    const select = document.querySelector(`[data-pair-select="${plot.dataset.pairs}"]`);
    const fixed = document.querySelector("[data-pair]");
    return `${plot.dataset.figure}-${select ? select.value : fixed.dataset.pair}`;
  };

  const hiddenStrategies = new Set();

  const draw = (plot) => {
    // A hidden element has no size to draw for; it is drawn when it is shown.
    if (plot.offsetParent === null) return Promise.resolve();
    const name = nameOf(plot);
    const figure = figures[name];
    if (!figure) return Promise.resolve();
    const waiting = plot.querySelector(".waiting");
    if (waiting) waiting.remove();
    for (const trace of figure.data) {
      if (trace.meta !== undefined) trace.visible = hiddenStrategies.has(String(trace.meta)) ? false : true;
    }
    plot.dataset.drawn = name;
    return Plotly.react(plot, figure.data, { ...figure.layout, template }, config);
  };

  // A few at a time, in the order of the page, so that the page answers while it draws.
  let running = false;
  const drawMissing = async () => {
    if (running) return;
    running = true;
    try {
      let paused = performance.now();
      for (;;) {
        const next = plots.find((plot) => plot.dataset.drawn !== nameOf(plot) && plot.offsetParent !== null);
        if (!next) break;
        await draw(next);
        if (performance.now() - paused > 80) {
          await new Promise((resolve) => setTimeout(resolve, 0));
          paused = performance.now();
        }
      }
    } finally {
      running = false;
    }
    document.documentElement.dataset.ready = "true";
  };

  const redraw = () => {
    for (const plot of plots) delete plot.dataset.drawn;
    return drawMissing();
  };

  for (const select of document.querySelectorAll("[data-pair-select]")) {
    select.addEventListener("change", drawMissing);
  }

  const buttons = [...document.querySelectorAll("[data-toggle]")];
  const show = (button, shown) => {
    const key = button.dataset.toggle;
    button.setAttribute("aria-pressed", String(shown));
    if (shown) hiddenStrategies.delete(key);
    else hiddenStrategies.add(key);
    for (const part of document.querySelectorAll(`[data-strategy="${key}"]`)) part.hidden = !shown;
  };
  const changed = () => {
    for (const plot of plots) {
      const figure = figures[plot.dataset.drawn];
      if (figure && figure.data.some((trace) => trace.meta !== undefined)) delete plot.dataset.drawn;
    }
    return drawMissing();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      show(button, button.getAttribute("aria-pressed") !== "true");
      changed();
    });
  }
  for (const all of document.querySelectorAll("[data-toggle-all]")) {
    all.addEventListener("click", () => {
      for (const button of buttons) show(button, all.dataset.toggleAll === "show");
      changed();
    });
  }
  const group = document.querySelector("[data-first]");
  if (group) buttons.slice(Number(group.dataset.first)).forEach((button) => show(button, false));

  darkPage.addEventListener("change", () => {
    template = theme(darkPage.matches);
    redraw();
  });
  // Paper is white whatever the screen shows; figures not yet drawn must be there too.
  const onPaper = (printing) => {
    template = theme(printing ? false : darkPage.matches);
    for (const plot of plots) draw(plot);
  };
  window.addEventListener("beforeprint", () => onPaper(true));
  window.addEventListener("afterprint", () => onPaper(false));

  drawMissing();
})();
