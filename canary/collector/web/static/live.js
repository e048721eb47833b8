// Follows what happens: a stream says that something changed, and the page is
// fetched again. Whoever is typing is not disturbed, but told. Without this
// file the pages work; they show what was true when they were loaded.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("live", { createHTML: (text) => text }) // of this server only
    : { createHTML: (text) => text };
  let seen = null, busy = false, again = false;

  const typing = () => {
    const at = document.activeElement;
    if (at && at.matches("input:not([type=hidden]), select, textarea")) return true;
    return [...document.querySelectorAll("main input:not([type=hidden])")].some((i) => i.value !== i.defaultValue);
  };

  const show = (page) => {
    const open = new Set([...document.querySelectorAll("details[open][id]")].map((d) => d.id));
    const focus = document.activeElement && document.activeElement.id;
    const before = parseInt(byId("open-count").textContent, 10) || 0;
    byId("main").replaceChildren(...page.getElementById("main").childNodes);
    byId("open-count").replaceChildren(...page.getElementById("open-count").childNodes);
    document.title = page.title;
    for (const id of open) { const d = byId(id); if (d) d.open = true; }
    if (focus && byId(focus)) byId(focus).focus({ preventScroll: true });
    const after = parseInt(byId("open-count").textContent, 10) || 0;
    if (after > before) byId("announce").textContent = after + (after === 1 ? " open incident" : " open incidents");
    byId("pending").hidden = true;
  };

  const refresh = async (force) => {
    if (busy) { again = true; return; }
    if (!force && typing()) { byId("pending").hidden = false; return; }
    busy = true;
    try {
      const url = new URL(location.href);
      url.searchParams.delete("done");
      const answer = await fetch(url, { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "error" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) {
        const page = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
        if (page.getElementById("main") && page.getElementById("open-count")) show(page);
      }
    } catch { /* the stream says when the server is back */ } finally {
      busy = false;
      if (again) { again = false; setTimeout(refresh, 500); }
    }
  };

  const state = (text, on) => {
    byId("live").hidden = false;
    byId("live").classList.toggle("off", !on);
    byId("live-text").textContent = text;
  };

  const stream = new EventSource("/events");
  stream.onmessage = (e) => {
    state("Live", true);
    if (seen !== null && e.data !== seen) refresh(false);
    seen = e.data;
  };
  stream.onopen = () => state("Live", true);
  stream.onerror = () => state(stream.readyState === EventSource.CLOSED ? "Not live" : "Reconnecting", false);
  byId("refresh").addEventListener("click", () => refresh(true));
  setInterval(() => { if (!document.hidden) refresh(false); }, 60000); // times such as "2 minutes ago"
})();
