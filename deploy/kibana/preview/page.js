"use strict";
// Draws the page out of the JSON beside it. Text from posts only ever becomes text nodes or canvas text.
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const FONT = getComputedStyle(document.body).fontFamily;
  const GREY = "#5b6b7b";

  function make(name, attributes = {}, ...inside) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "style") Object.assign(element.style, value);
      else if (value !== undefined && value !== "") element.setAttribute(key, value);
    }
    element.append(...inside);
    return element;
  }

  function duration(seconds) {
    for (const [unit, size] of [["天", 86400], ["小时", 3600], ["分钟", 60]])
      if (seconds >= size) return `${+(seconds / size).toFixed(1)} ${unit}`;
    return `${Math.round(seconds)} 秒`;
  }

  function format(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "percent") return `${(100 * value).toFixed(1)}%`;
    if (unit === "duration") return duration(value);
    return value.toLocaleString("zh-CN", { maximumFractionDigits: 1 });
  }

  const label = { color: GREY, fontFamily: FONT, fontSize: 11 };
  const tooltip = { renderMode: "richText", confine: true };

  function axes(panel) {
    const names = { type: "category", data: panel.categories, axisTick: { show: false }, axisLabel: { ...label, width: 128, overflow: "truncate", hideOverlap: true }, axisLine: { lineStyle: { color: "#cfd6df" } } };
    // Whole minutes or hours on an axis of time spent.
    const most = Math.max(1, ...panel.series.flatMap((each) => each.data));
    const size = most >= 7200 ? 3600 : most >= 120 ? 60 : 1;
    const rough = most / size / 5, ten = 10 ** Math.floor(Math.log10(rough));
    const step = size * ten * [1, 2, 5, 10].find((nice) => nice * ten >= rough);
    const values = { interval: panel.unit === "duration" ? step : undefined, type: "value", axisLabel: { ...label, hideOverlap: true, formatter: (v) => panel.unit === "percent" ? `${Math.round(100 * v)}%` : format(v, panel.unit) }, splitLine: { lineStyle: { color: "#edf0f4" } }, minInterval: panel.unit === "number" ? 1 : undefined };
    if (panel.across) names.inverse = true;
    const named = panel.series.filter((each) => each.name);
    return {
      grid: { left: 6, right: panel.across ? 46 : 12, top: 10, bottom: named.length > 1 ? 28 : 4, containLabel: true },
      legend: { show: named.length > 1, bottom: 0, type: "scroll", itemWidth: 12, itemHeight: 8, itemGap: 14, textStyle: label },
      tooltip: { ...tooltip, trigger: "axis", valueFormatter: (v) => format(v, panel.unit) },
      xAxis: panel.across ? values : names,
      yAxis: panel.across ? names : values,
      series: panel.series.map((each) => ({
        name: each.name,
        type: each.line ? "line" : "bar",
        stack: panel.stacked && !each.line ? "all" : undefined,
        data: each.colours ? each.data.map((value, at) => ({ value, itemStyle: { color: each.colours[at] } })) : each.data,
        itemStyle: { color: each.colour },
        lineStyle: { width: each.dashed ? 1.8 : 2.4, type: each.dashed ? "dashed" : "solid", color: each.colour },
        symbol: "circle", symbolSize: each.dashed ? 0 : 5, connectNulls: false, barMaxWidth: 34,
        label: { ...label, show: panel.across && !panel.stacked, position: "right", formatter: (p) => format(p.value, panel.unit) },
      })),
    };
  }

  function donut(panel) {
    return {
      tooltip: { ...tooltip, valueFormatter: (v) => format(v) },
      legend: { type: "scroll", orient: "vertical", right: 0, top: "middle", itemWidth: 10, itemHeight: 10, textStyle: label },
      series: [{
        type: "pie", radius: ["42%", "70%"], center: ["36%", "50%"], minShowLabelAngle: 12,
        data: panel.slices.map((each) => ({ name: each.name, value: each.value, itemStyle: { color: each.colour } })),
        itemStyle: { borderColor: "#fff", borderWidth: 2 },
        label: { ...label, formatter: (p) => `${p.percent.toFixed(1)}%` }, labelLine: { length: 6, length2: 6 },
      }],
    };
  }

  function treemap(panel) {
    return {
      tooltip: { ...tooltip, valueFormatter: (v) => format(v) },
      series: [{
        type: "treemap", roam: false, nodeClick: false, breadcrumb: { show: false }, left: 0, right: 0, top: 4, bottom: 0,
        itemStyle: { borderColor: "#fff", gapWidth: 2, borderWidth: 0 },
        label: { fontFamily: FONT, fontSize: 12, color: "#fff", overflow: "break", lineHeight: 16, formatter: (p) => `${p.name}\n${format(p.value)} 条` },
        data: panel.slices.map((each) => ({ name: each.name, value: each.value, itemStyle: { color: each.colour } })),
      }],
    };
  }

  function heat(panel) {
    const most = Math.max(...panel.cells.map((cell) => cell[2]));
    return {
      tooltip: { ...tooltip, formatter: (p) => `${panel.rows[p.value[1]]}\n${panel.across[p.value[0]]}：${format(p.value[2])} 条` },
      grid: { left: 6, right: 10, top: 6, bottom: 4, containLabel: true },
      xAxis: { type: "category", data: panel.across, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { ...label, width: 92, overflow: "break", interval: 0 }, splitArea: { show: true, areaStyle: { color: ["#fafbfc"] } } },
      yAxis: { type: "category", data: panel.rows, inverse: true, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { ...label, width: 150, overflow: "truncate" } },
      visualMap: { show: false, min: 0, max: most, inRange: { color: panel.ramp } },
      series: [{
        type: "heatmap", data: panel.cells,
        itemStyle: { borderColor: "#fff", borderWidth: 2 },
        label: { show: true, fontFamily: FONT, fontSize: 11, color: "inherit", formatter: (p) => format(p.value[2]) },
      }].map((series) => ({ ...series, data: panel.cells.map((value) => ({ value, label: { color: value[2] > 0.55 * most ? "#fff" : "#3b2b29" } })) })),
    };
  }

  function table(panel) {
    const head = make("tr", {}, ...panel.head.map((each) => make("th", { class: each.right ? "right" : "" }, each.text)));
    const rows = panel.rows.map((row) => make("tr", {}, ...row.map((cell, at) => {
      const style = `${panel.head[at].right ? "right" : ""}${panel.head[at].wide ? " wide" : ""}`.trim();
        const text = cell.link ? make("a", { href: cell.link, rel: "noopener noreferrer", target: "_blank" }, cell.text) : make("span", {}, cell.text);
      return make("td", { class: style, title: cell.text }, text);
    })));
    return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  function cloud(panel) {
    const most = Math.max(...panel.words.map((word) => word.count));
    return make("div", { class: "cloud" }, ...panel.words.map((word) => make("span", {
      title: `${word.count} 条`,
      style: { fontSize: `${13 + 19 * Math.sqrt(word.count / most)}px`, color: word.count > most / 2 ? "#b8352b" : word.count > most / 5 ? "#3a6ea5" : "#5b6b7b" },
    }, word.text)));
  }

  const charts = { axes, donut, treemap, heat };
  const page = document.getElementById("page");
  page.append(
    make("nav", {}, ...content.links.map((each) => make("a", { href: each.file, "aria-current": each.here ? "page" : undefined }, each.title.replace("舆警 · ", "")))),
    make("header", {},
      make("h1", {}, content.title), make("p", {}, content.question), make("span", { class: "range" }, content.range),
      make("div", { class: "controls" }, ...content.controls.map((each) => make("span", {}, make("b", {}, each), "全部")))),
  );
  const grid = make("div", { class: "grid" });
  grid.style.gridAutoRows = `${content.row}px`;
  page.append(grid, make("footer", {}, "预览：由看板的同一份定义和重放到 Elasticsearch 的查询画成，不是 Kibana 截图；在 Kibana 里可以筛选、下钻和导出。"));
  for (const panel of content.panels) {
    const { x, y, w, h } = panel.place;
    const section = make("section", { style: { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y - content.head + 1} / span ${h}` } },
      make("h2", {}, panel.title, make("small", {}, panel.note)));
    grid.append(section);
    if (panel.kind === "metric") {
      section.append(make("div", { class: "number", style: { color: panel.colour } }, panel.value), make("div", { class: "below" }, panel.below || ""));
    } else if (panel.kind === "empty") section.append(make("div", { class: "empty" }, panel.text));
    else if (panel.kind === "table") section.append(table(panel));
    else if (panel.kind === "cloud") section.append(cloud(panel));
    else {
      const place = make("div", { class: "chart" });
      section.append(place);
      const chart = echarts.init(place, null, { locale: "ZH" });
      chart.setOption({ animation: false, aria: { enabled: true }, textStyle: { fontFamily: FONT }, ...charts[panel.kind](panel) });
      addEventListener("resize", () => chart.resize());
    }
  }
  document.body.dataset.height = Math.ceil(document.documentElement.scrollHeight);
})();
