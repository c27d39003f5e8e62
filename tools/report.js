// report.js: the timeline, the pages of the table and the details of a report. The page holds all that it shows: nothing is loaded,
// and names from a trace only ever become text.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const PAGE = 100, ROW = 22, AXIS = 26, GUTTER = 190, AROUND = 12;
  // a fault in data.faults
  const TIME = 0, THREAD = 1, CALL = 2, RESOURCE = 3, SIZE = 4, OUTCOME = 5, RULE = 6, ORDINAL = 7, STACK = 8, FLAGS = 9, N = 10, KIND = 11;

  const make = (name, text, className) => {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  };
  const seconds = (ns) => (ns / 1e9).toFixed(6);
  const count = (n) => n.toLocaleString("en-US");

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  if (!data.faults?.length) return;

  const faults = data.faults, threads = data.threads;
  // A line that was written piece by piece is one line, unless another thread came between.
  const said = [];
  for (const piece of data.output) {
    const last = said[said.length - 1];
    if (last && last[1] === piece[1] && last[2] === piece[2] && !last[3].endsWith("\n")) last[3] += piece[3];
    else said.push(piece);
  }
  const who = (thread) => threads[thread].process + "/" + threads[thread].thread;
  const resource = (f) => (f[RESOURCE] < 0 ? "" : data.resources[f[RESOURCE]]);
  const sentence = (f) => `${data.calls[f[CALL]]} ${resource(f)} ${f[SIZE]} = ${data.outcomes[f[OUTCOME]]}`;
  const flagWords = (f) => [[2, "sticky"], [4, "replayed"], [16, "lasting"]].filter(([bit]) => f[FLAGS] & bit).map(([, word]) => word).join(", ");
  const stack = (f) => (f[STACK] < 0 ? [] : data.stacks[f[STACK]].split("\n"));
  const own = (f) => stack(f).find((line) => !/ in (libc\.so\.6|ld-linux[^ ]*)$|^(libc\.so\.6|ld-linux[^+]*)\+|^__(GI_|libc_)|sysdeps\//.test(line)) || stack(f)[0];

  /* --- which faults are looked at --- */

  let chosen = -1, visible = [], page = 0;

  function search() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const rule = $("rule").value, call = $("call").value;
    visible = [];
    for (let i = 0; i < faults.length; i++) {
      const f = faults[i];
      if (rule !== "" && f[RULE] !== +rule) continue;
      if (call !== "" && f[CALL] !== +call) continue;
      if (words.length) {
        const text = `${who(f[THREAD])} ${threads[f[THREAD]].comm} ${sentence(f)} ${data.rules[f[RULE]]}`.toLowerCase();
        if (!words.every((word) => text.includes(word))) continue;
      }
      visible.push(i);
    }
    page = 0;
    showPage();
    sortRows();
    draw();
  }

  /* --- the table --- */

  function cell(row, text, className) {
    row.append(make("td", text, className));
  }

  function showPage() {
    const body = make("tbody"), pages = Math.max(1, Math.ceil(visible.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    for (const i of visible.slice(page * PAGE, (page + 1) * PAGE)) {
      const f = faults[i], row = make("tr", undefined, i === chosen ? "open chosen" : "open");
      row.dataset.fault = i;
      cell(row, seconds(f[TIME]), "n code");
      cell(row, who(f[THREAD]), "code nowrap");
      cell(row, data.calls[f[CALL]], "code");
      cell(row, resource(f), "code path");
      cell(row, f[SIZE], "n code");
      cell(row, data.outcomes[f[OUTCOME]], "code");
      cell(row, `${data.rules[f[RULE]]} #${f[ORDINAL]}`, "code");
      body.append(row);
    }
    $("faults").tBodies[0].replaceWith(body);
    $("found").textContent = visible.length === faults.length ? `${count(faults.length)} faults` : `${count(visible.length)} of ${count(faults.length)} faults`;
    $("place").textContent = `page ${count(page + 1)} of ${count(pages)}`;
    $("first").disabled = $("back").disabled = page === 0;
    $("next").disabled = $("last").disabled = page === pages - 1;
  }

  function turn(to) {
    page = to;
    showPage();
  }

  /* --- one fault --- */

  function pair(list, key, value) {
    if (value === "" || value === undefined) return;
    list.append(make("dt", key), make("dd", value, "code"));
  }

  // What the program said before and after, by time.
  function aroundOf(f) {
    const box = make("div");
    if (!said.length) return box;
    let at = said.findIndex((piece) => piece[0] > f[TIME]);
    if (at < 0) at = said.length;
    const pre = make("pre"), mark = () => pre.append(make("span", `${seconds(f[TIME])}  ${who(f[THREAD])}  ${sentence(f)}`, "at"));
    for (let i = Math.max(0, at - AROUND); i < Math.min(said.length, at + AROUND); i++) {
      if (i === at) mark();
      const [time, thread, fd, text] = said[i];
      pre.append(make("span", `${seconds(time)}  ${who(thread)}  `, "time"), make("span", text.endsWith("\n") ? text : text + "\n", fd === 2 ? "err" : ""));
    }
    if (at >= said.length) mark();
    box.append(make("h3", "Output of the program around it"), pre);
    return box;
  }

  function choose(i, scroll) {
    chosen = i;
    const f = faults[i], box = $("detail"), t = threads[f[THREAD]], list = make("dl", undefined, "facts"), bar = make("div", undefined, "bar");
    const step = (by, text) => {
      const k = visible.indexOf(i) + by, button = make("button", text);
      button.disabled = k < 0 || k >= visible.length;
      button.addEventListener("click", () => { page = Math.floor(k / PAGE); choose(visible[k], true); });
      return button;
    };
    bar.append(make("h3", sentence(f), "code grow"), step(-1, "Previous"), step(1, "Next"));
    pair(list, "time", `${seconds(f[TIME])} s`);
    pair(list, "thread", `${who(f[THREAD])} ${t.comm} (process ${t.pid}, thread ${t.tid}, ${t.program})`);
    pair(list, "decision", `${count(f[N])} of this thread`);
    pair(list, "rule", `${data.rules[f[RULE]]}, ordinal ${f[ORDINAL]}`);
    pair(list, "flags", flagWords(f));
    box.replaceChildren(bar, list);
    if (f[STACK] >= 0) {
      box.append(make("h3", "Call stack, innermost first"), make("pre", stack(f).join("\n")));
    } else {
      box.append(make("p", "The trace has no call stack here; record with --set stacks=faults.", "dim"));
    }
    box.append(aroundOf(f));
    box.hidden = false;
    showPage();
    draw();
    history.replaceState(null, "", "#fault-" + i);
    const there = box.getBoundingClientRect();
    if (scroll && (there.top < 0 || there.top > innerHeight - 240)) box.scrollIntoView({block: there.height < innerHeight ? "center" : "start"});
  }

  /* --- the timeline --- */

  const axis = $("axis"), canvas = $("lanes"), tip = $("tip");
  const end = Math.max(data.duration, faults.length ? faults[faults.length - 1][TIME] : 0, 1000);
  let from = 0, to = end, rows = [], byThread = new Map(), colors = {}, width = 0;

  const byNumber = (a, b) => a.localeCompare(b, "en", {numeric: true});
  const inOrder = (a, b) => byNumber(threads[a].process, threads[b].process) || byNumber(threads[a].thread, threads[b].thread) || a - b;

  function sortRows() {
    byThread = new Map();
    for (const i of visible) {
      const t = faults[i][THREAD];
      if (!byThread.has(t)) byThread.set(t, []);
      byThread.get(t).push(i);
    }
    const all = $("all").checked;
    rows = threads.map((_, i) => i).filter((i) => all || byThread.has(i)).sort(inOrder).slice(0, data.rowsMost);
  }

  const x = (time) => GUTTER + (time - from) / (to - from) * (width - GUTTER - 8);
  const timeAt = (px) => from + (px - GUTTER) / (width - GUTTER - 8) * (to - from);

  function readColors() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["back", "panel", "line", "text", "dim", "busy", "mark", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]) colors[name] = style.getPropertyValue("--" + name).trim();
  }
  const colorOf = (kind) => colors["c" + Math.min(kind, 7)];

  function prepare(c, height) {
    const scale = devicePixelRatio || 1, g = c.getContext("2d");
    c.width = Math.round(width * scale);
    c.height = Math.round(height * scale);
    c.style.height = height + "px";
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = '12px ui-monospace, Menlo, "DejaVu Sans Mono", monospace';
    g.textBaseline = "middle";
    return g;
  }

  function drawAxis() {
    const g = prepare(axis, AXIS), wanted = (to - from) / Math.max(2, (width - GUTTER) / 110);
    const power = 10 ** Math.floor(Math.log10(wanted)), step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= wanted);
    const [unit, name] = step >= 1e9 ? [1e9, "s"] : step >= 1e6 ? [1e6, "ms"] : step >= 1e3 ? [1e3, "µs"] : [1, "ns"];
    g.fillStyle = colors.dim;
    g.textAlign = "left";
    g.fillText("process/thread", 10, AXIS / 2);
    const ticks = [];
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
      const text = `${Number((t / unit).toFixed(3))} ${name}`, at = x(t);
      g.fillStyle = colors.dim;
      g.fillRect(Math.round(at), AXIS - 5, 1, 5);
      if (at + g.measureText(text).width < width - 4) g.fillText(text, at + 4, AXIS / 2);
      ticks.push(at);
    }
    // a mark, a phase or a change: a wedge that tells under the pointer
    g.fillStyle = colors.text;
    for (const [time] of data.lines) {
      const at = x(time);
      if (at < GUTTER || at > width) continue;
      g.beginPath();
      g.moveTo(at - 4, 0);
      g.lineTo(at + 4, 0);
      g.lineTo(at, 7);
      g.fill();
    }
    return ticks;
  }

  function drawActivity(g, thread, y) {
    const counts = data.activity[thread];
    if (!counts) return;
    const most = Math.max(...counts.n);
    g.fillStyle = colors.busy;
    for (let i = 0; i < counts.n.length; i++) {
      if (!counts.n[i]) continue;
      const a = x((counts.first + i) * data.bucket), b = x((counts.first + i + 1) * data.bucket), h = 3 + 11 * counts.n[i] / most;
      if (b > GUTTER && a < width) g.fillRect(Math.max(a, GUTTER), y + ROW - 3 - h, Math.max(b - Math.max(a, GUTTER), 1), h);
    }
  }

  // The first fault of a sorted list that is not before `time`.
  function lower(list, time) {
    let lo = 0, hi = list.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (faults[list[mid]][TIME] < time) lo = mid + 1; else hi = mid;
    }
    return lo;
  }

  function drawFaults(g, list, y) {
    let last = -1, lastKind = -1;
    for (let k = lower(list, from); k < list.length; k++) {
      const f = faults[list[k]], at = Math.round(x(f[TIME]));
      if (f[TIME] > to) break;
      if (at === last && f[KIND] === lastKind) continue;
      last = at;
      lastKind = f[KIND];
      g.fillStyle = colorOf(f[KIND]);
      g.fillRect(at - 1, y + 4, 2, ROW - 8);
    }
  }

  function draw() {
    width = $("timeline").clientWidth;
    if (!width) return;
    const ticks = drawAxis(), height = Math.max(rows.length, 1) * ROW, g = prepare(canvas, height);
    g.fillStyle = colors.line;
    for (const at of ticks) g.fillRect(Math.round(at), 0, 1, height);
    rows.forEach((thread, i) => {
      const y = i * ROW, t = threads[thread];
      g.fillStyle = colors.line;
      g.fillRect(0, y + ROW - 1, width, 1);
      drawActivity(g, thread, y);
      drawFaults(g, byThread.get(thread) || [], y);
      g.fillStyle = colors.back;
      g.fillRect(0, y, GUTTER - 1, ROW - 1);
      g.fillStyle = colors.text;
      g.textAlign = "left";
      g.fillText(who(thread), 10, y + ROW / 2, 90);
      g.fillStyle = colors.dim;
      g.fillText(t.comm, 14 + Math.min(g.measureText(who(thread)).width, 90), y + ROW / 2, GUTTER - 30 - Math.min(g.measureText(who(thread)).width, 90));
    });
    g.setLineDash([3, 3]);
    g.strokeStyle = colors.dim;
    for (const [time] of data.lines) {
      const at = Math.round(x(time)) + 0.5;
      if (at < GUTTER || at > width) continue;
      g.beginPath();
      g.moveTo(at, 0);
      g.lineTo(at, height);
      g.stroke();
    }
    g.setLineDash([]);
    if (chosen >= 0 && rows.includes(faults[chosen][THREAD])) {
      const at = Math.round(x(faults[chosen][TIME])), y = rows.indexOf(faults[chosen][THREAD]) * ROW;
      g.strokeStyle = colors.text;
      if (at >= GUTTER) g.strokeRect(at - 3.5, y + 1.5, 7, ROW - 4);
    }
    $("span").textContent = `${seconds(from)} s to ${seconds(to)} s`;
  }

  function show(a, b) {
    const least = 100, span = Math.min(Math.max(b - a, least), end);
    from = Math.min(Math.max(a, 0), end - span);
    to = from + span;
    draw();
  }
  const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, at + (to - at) * factor);

  // The fault next to the pointer, and how many stand as near.
  function under(event) {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, list = byThread.get(rows[Math.floor((event.clientY - box.top) / ROW)]);
    if (!list || px < GUTTER) return null;
    const a = lower(list, timeAt(px - 5)), b = lower(list, timeAt(px + 6));
    let best = -1;
    for (let k = a; k < b; k++) if (best < 0 || Math.abs(x(faults[list[k]][TIME]) - px) < Math.abs(x(faults[list[best]][TIME]) - px)) best = k;
    return best < 0 ? null : {fault: list[best], more: b - a - 1};
  }

  function hover(event) {
    const hit = under(event);
    tip.hidden = !hit;
    if (!hit) return;
    const f = faults[hit.fault], origin = own(f);
    tip.replaceChildren(make("div", `${seconds(f[TIME])} s  ${who(f[THREAD])}  rule ${data.rules[f[RULE]]}`, "dim"), make("div", sentence(f), "code"));
    if (origin) tip.append(make("div", "from " + origin, "code"));
    if (hit.more) tip.append(make("div", `and ${count(hit.more)} more here`, "dim"));
    place(event);
  }

  function place(event) {
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8) + "px";
  }

  function hoverAxis(event) {
    const px = event.clientX - axis.getBoundingClientRect().left, near = data.lines.filter(([time]) => Math.abs(x(time) - px) < 6 && x(time) >= GUTTER);
    tip.hidden = !near.length;
    tip.replaceChildren(...near.slice(0, 10).map(([time, text]) => make("div", `${seconds(time)} s  ${text}`, "code")));
    place(event);
  }
  axis.addEventListener("pointermove", hoverAxis);
  axis.addEventListener("pointerleave", () => { tip.hidden = true; });

  let drag = null;
  canvas.addEventListener("pointerdown", (e) => { drag = {x: e.clientX, from, to, moved: false}; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", (e) => {
    if (!drag) return hover(e);
    const by = (drag.x - e.clientX) / (width - GUTTER - 8) * (drag.to - drag.from);
    if (Math.abs(e.clientX - drag.x) > 3) drag.moved = true;
    if (drag.moved) { canvas.classList.add("drag"); tip.hidden = true; show(drag.from + by, drag.to + by); }
  });
  canvas.addEventListener("pointerup", (e) => {
    const hit = drag && !drag.moved ? under(e) : null;
    drag = null;
    canvas.classList.remove("drag");
    if (hit) { page = Math.max(0, Math.floor(visible.indexOf(hit.fault) / PAGE)); choose(hit.fault, true); }
  });
  canvas.addEventListener("pointercancel", () => { drag = null; canvas.classList.remove("drag"); });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  const onWheel = (e) => {
    if (!e.ctrlKey && !e.shiftKey && e.currentTarget !== axis && Math.abs(e.deltaX) <= Math.abs(e.deltaY)) return;
    e.preventDefault();
    const at = timeAt(e.clientX - canvas.getBoundingClientRect().left);
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY) && !e.shiftKey) show(from + e.deltaX / width * (to - from), to + e.deltaX / width * (to - from));
    else zoom(1.0015 ** (e.deltaY || e.deltaX), Math.min(Math.max(at, from), to));
  };
  canvas.addEventListener("wheel", onWheel, {passive: false});
  axis.addEventListener("wheel", onWheel, {passive: false});
  canvas.addEventListener("dblclick", (e) => zoom(0.4, timeAt(e.clientX - canvas.getBoundingClientRect().left)));
  $("rows").addEventListener("keydown", (e) => {
    const by = (to - from) / 5, keys = {ArrowLeft: () => show(from - by, to - by), ArrowRight: () => show(from + by, to + by), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, end)};
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  $("in").addEventListener("click", () => zoom(0.5));
  $("out").addEventListener("click", () => zoom(2));
  $("whole").addEventListener("click", () => show(0, end));
  $("all").addEventListener("change", () => { sortRows(); draw(); });

  /* --- start --- */

  function legend() {
    data.kinds.slice(0, 8).forEach((kind, i) => {
      const span = make("span", undefined, "legend"), box = make("i");
      box.style.background = `var(--c${i})`;
      span.append(box, make("span", i === 7 && data.kinds.length > 8 ? "others" : kind));
      $("legend").append(span);
    });
  }

  function options(select, names, used) {
    names.forEach((name, i) => {
      if (!used.has(i)) return;
      const option = make("option", name);
      option.value = i;
      select.append(option);
    });
  }

  options($("rule"), data.rules, new Set(faults.map((f) => f[RULE])));
  options($("call"), data.calls, new Set(faults.map((f) => f[CALL])));
  let waiting = 0;
  $("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  for (const id of ["rule", "call"]) $(id).addEventListener("change", search);
  for (const [id, where] of [["first", () => 0], ["back", () => page - 1], ["next", () => page + 1], ["last", () => Infinity]]) $(id).addEventListener("click", () => turn(where()));
  $("faults").addEventListener("click", (e) => {
    const row = e.target.closest("tr[data-fault]");
    if (row && !String(getSelection())) choose(+row.dataset.fault, true);
  });
  new ResizeObserver(draw).observe($("timeline"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); draw(); });
  for (const e of document.querySelectorAll("[data-script]")) e.hidden = false;
  for (const e of document.querySelectorAll("[data-static]")) e.hidden = true;
  readColors();
  legend();
  $("all").checked = threads.length <= 40;
  visible = faults.map((_, i) => i);
  search();
  const asked = /^#fault-(\d+)$/.exec(location.hash);
  if (asked && +asked[1] < faults.length) { page = Math.floor(+asked[1] / PAGE); choose(+asked[1], true); }
  document.documentElement.dataset.ready = "yes";
})();
