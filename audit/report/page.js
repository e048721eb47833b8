"use strict";
(() => {
  const form = document.getElementById("filters");
  const all = Array.from(document.querySelectorAll(".finding"));
  const text = new Map(all.map((e) => [e, e.textContent.toLowerCase()]));
  const apply = () => {
    const verdicts = new Set(Array.from(form.querySelectorAll("input[name=verdict]:checked"), (e) => e.value));
    const stage = document.getElementById("stage").value;
    const artifact = document.getElementById("artifact").value;
    const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const e of all) {
      const show = verdicts.has(e.dataset.verdict) && (!stage || e.dataset.stage === stage) &&
        (!artifact || e.dataset.artifact === artifact) && words.every((w) => text.get(e).includes(w));
      e.hidden = !show;
      n += show ? 1 : 0;
    }
    document.getElementById("shown").textContent = n + " of " + all.length + " findings";
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (e) => e.preventDefault());
  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const e of all) {
      if (!e.hidden && !e.open) { e.open = true; opened.push(e); }
    }
  });
  window.addEventListener("afterprint", () => { while (opened.length) { opened.pop().open = false; } });
  apply();
})();
