// The page without this script is whole, and reads itself again every five seconds. With
// it, what has changed is put in its place every two, rates are drawn, and what you have
// scrolled to or selected stays.
"use strict";
(() => {
  const interval = 2000, kept = 150;
  const samples = { ops: [] };
  let bytes = new Map(), seen = 0;

  const human = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    for (; n >= 1000 && i < units.length - 1; i++) n /= 1024;
    return (n >= 10 || i === 0 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
  };

  const svg = (name, attributes) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    return e;
  };

  // spark draws what was seen of a number so far.
  const spark = () => {
    for (const at of document.querySelectorAll("[data-spark]")) {
      const all = samples[at.dataset.spark];
      all.push(Number(at.dataset.value));
      if (all.length > kept) all.shift();
    }
    for (const to of document.querySelectorAll("[data-draw]")) {
      const all = samples[to.dataset.draw];
      if (all.length < 2) continue;
      const top = Math.max(1, ...all), step = 320 / (kept - 1), left = 320 - step * (all.length - 1);
      const points = all.map((v, i) => (left + i * step).toFixed(1) + " " + (53 - v / top * 48).toFixed(1)).join(" L");
      to.replaceChildren(svg("path", { class: "area", d: "M" + left.toFixed(1) + " 56 L" + points + " L320 56 Z" }), svg("path", { class: "edge", d: "M" + points }));
    }
  };

  // flow says how fast bytes pass, and has them seen to move.
  const flow = () => {
    const now = performance.now(), next = new Map();
    for (const at of document.querySelectorAll("[data-bytes]")) {
      const key = at.dataset.key, n = Number(at.dataset.bytes);
      next.set(key, n);
      const rate = (n - (bytes.has(key) ? bytes.get(key) : n)) * 1000 / Math.max(1, now - seen);
      if (rate <= 0) continue;
      at.textContent = at.textContent.split(" · ")[0] + " · " + human(rate) + "/s";
      for (const pipe of document.querySelectorAll("[data-flow]")) {
        if (pipe.dataset.flow === key) pipe.classList.add("flows");
      }
    }
    bytes = next;
    seen = now;
  };

  const look = async () => {
    if (document.hidden) return;
    const state = document.getElementById("state");
    try {
      const answer = await fetch("./", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const selection = window.getSelection();
      if (selection && !selection.isCollapsed) return; // somebody copies something
      const aside = [...document.querySelectorAll(".scroll, .picture")].map((e) => e.scrollLeft);
      document.getElementById("main").replaceWith(fresh.getElementById("main"));
      state.replaceWith(fresh.getElementById("state"));
      [...document.querySelectorAll(".scroll, .picture")].forEach((e, i) => { e.scrollLeft = aside[i] || 0; });
      document.title = fresh.title;
      spark();
      flow();
    } catch (e) {
      state.className = "state lost";
      state.lastChild.textContent = "no answer";
      document.title = "Spillway · no answer";
    }
  };

  spark();
  flow();
  setInterval(look, interval);
  document.addEventListener("visibilitychange", look);
})();
