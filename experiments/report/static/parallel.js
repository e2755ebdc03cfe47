// All trials on parallel axes: dragging along an axis keeps the trials that pass there, in the plot and in the table.
"use strict";
(() => {
  const place = document.getElementById("parallel");
  if (!place) return;
  const { axes, lines } = JSON.parse(document.getElementById("parallel-data").textContent);
  const rows = new Map([...document.querySelectorAll("#trials tbody tr")].map(row => [Number(row.cells[0].textContent), row]));
  const count = document.getElementById("parallel-count");
  const least = document.getElementById("parallel-least");
  const narrow = matchMedia("(max-width: 700px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const viridis = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];
  const gains = lines.map(line => line.values[0]).sort((a, b) => a - b);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let chart = null;

  function axis(one, dim) {
    const middle = one.type === "log" ? Math.sqrt(one.min * one.max) : (one.min + one.max) / 2;
    const marks = { customValues: [one.min, middle, one.max], formatter: value => String(Number(Number(value).toPrecision(2))) };
    const own = one.type === "category" ? { data: one.data } : { min: one.min, max: one.max };
    const naming = narrow.matches
      ? { nameLocation: "start", nameGap: 8, nameTextStyle: { align: "right" } }
      : { nameLocation: "end", nameGap: 12, nameRotate: 24, nameTextStyle: { align: "left", verticalAlign: "bottom" } };
    return {
      dim, ...own, ...naming, id: `axis-${dim}`, type: one.type, name: one.name, realtime: false,
      nameTextStyle: { color: colour("--ink"), fontSize: 12, ...naming.nameTextStyle },
      nameTruncate: { maxWidth: 200 },
      axisLabel: {
        color: colour("--muted"), fontSize: 11, textBorderColor: colour("--paper"), textBorderWidth: 3,
        ...(one.type !== "category" && marks),
      },
      axisLine: { lineStyle: { color: colour("--muted") } },
      axisTick: { show: false },
      areaSelectStyle: { width: narrow.matches ? 26 : 18, color: colour("--accent"), opacity: 0.25, borderColor: colour("--accent") },
    };
  }

  function series(chosen) {
    return {
      type: "parallel", inactiveOpacity: 0.04, activeOpacity: 0.9, animation: false, progressive: 0,
      lineStyle: chosen ? { width: 4, color: colour("--accent"), opacity: 1 } : { width: 1.6, opacity: 0.8 },
      data: lines.filter(line => line.chosen === chosen).map(line => ({
        name: String(line.number), value: line.values, ...(line.pruned && { lineStyle: { type: "dotted" } }),
      })),
    };
  }

  function told(item) {
    const line = lines.find(one => String(one.number) === item.name);
    const box = document.createElement("div");
    box.textContent = `trial ${line.number}${line.chosen ? ", recommended" : ""}: ${axes[0].name} ${line.values[0]}`;
    return box;
  }

  function draw() {
    chart?.dispose();
    least.value = 0;
    place.style.height = narrow.matches ? `${54 * axes.length + 104}px` : "32rem";
    chart = echarts.init(place, null, { renderer: "svg" });
    const low = gains[Math.floor(0.1 * (gains.length - 1))], high = gains.at(-1);
    chart.setOption({
      textStyle: { fontFamily: "inherit" },
      parallel: narrow.matches
        ? { layout: "vertical", left: 112, right: 18, top: 24, bottom: 70 }
        : { left: 24, right: 110, top: 90, bottom: 74 },
      parallelAxis: axes.map(axis),
      visualMap: {
        seriesIndex: 0, dimension: 0, min: low, max: high > low ? high : low + 1e-9, precision: 3, orient: "horizontal",
        left: "center", bottom: 4, itemHeight: 130, itemWidth: 12, text: ["more gain", "less"],
        textStyle: { color: colour("--muted") }, inRange: { color: dark.matches ? viridis : [...viridis].reverse() },
      },
      tooltip: { trigger: "item", confine: true, formatter: told, backgroundColor: colour("--paper"), textStyle: { color: colour("--ink") } },
      series: [series(false), series(true)],
    });
    chart.on("axisareaselected", shown);
    shown();
  }

  function shown() {
    const kept = new Set();
    chart.getModel().eachSeries(one => {
      const places = ["active", "normal"].flatMap(state => one.getRawIndicesByActiveState(state));
      for (const place of places) kept.add(Number(one.getRawData().getName(place)));
    });
    for (const [number, row] of rows) row.hidden = !kept.has(number);
    count.textContent = `${kept.size} of ${lines.length} trials`;
  }

  function filterGain() {
    const share = Number(least.value) / Number(least.max);
    const at = Math.min(axes[0].min + share * (axes[0].max - axes[0].min), axes[0].max);
    least.setAttribute("aria-valuetext", at.toPrecision(3));
    chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: "axis-0", intervals: share > 0 ? [[at, axes[0].max]] : [] });
    shown();
  }

  least.addEventListener("input", filterGain);
  document.getElementById("parallel-clear").addEventListener("click", draw);
  narrow.addEventListener("change", draw);
  dark.addEventListener("change", draw);
  addEventListener("resize", () => chart.resize());
  document.getElementById("parallel-tools").hidden = false;
  draw();
})();
