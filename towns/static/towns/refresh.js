/* Keeps the regions of a page up to date: each element with `data-refresh="SECONDS"` and an id is
   taken anew from the page itself, every so many seconds and at once when a live event says that
   something changed (`<body>` or any element with `data-live="town=ID"` or `"fleet=1"`). Rests while
   the page is out of sight, leaves a region alone in which somebody types, and says when it fails. */
"use strict";
(() => {
  const regions = () => [...document.querySelectorAll("[data-refresh][id]")];
  if (!regions().length) return;
  let timer = 0;
  let failedSince = null;
  let live = false;
  let asking = false;

  const period = () => {
    const seconds = Math.min(...regions().map((one) => Number(one.dataset.refresh) || 15));
    return 1000 * (live ? Math.max(seconds, 30) : seconds);
  };

  const isBusy = (region) => {
    const at = document.activeElement;
    return region.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
  };

  // What is told, without what Django masks anew in each answer: a region in which nothing changed
  // stays, or a screen reader would read its warnings out each time.
  const bare = (region) =>
    region.innerHTML.replace(/(name="csrfmiddlewaretoken" value=)"[^"]*"/g, "$1");

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const region of regions()) {
      const next = fresh.getElementById(region.id);
      if (!next || isBusy(region) || bare(next) === bare(region)) continue;
      const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
      const open = [...region.querySelectorAll("details[id][open]")].map((one) => one.id);
      region.replaceWith(document.adoptNode(next));
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      if (focused) document.getElementById(focused)?.focus();
    }
    document.dispatchEvent(new CustomEvent("towns:refreshed"));
  };

  const tell = () => {
    let note = document.getElementById("refresh-failed");
    if (!failedSince) {
      note?.remove();
      return;
    }
    if (!note) {
      note = document.createElement("p");
      note.id = "refresh-failed";
      note.className = "refresh-failed";
      note.setAttribute("role", "status");
      document.body.append(note);
    }
    note.textContent = `Not up to date since ${failedSince.toLocaleTimeString()}. Trying again.`;
  };

  const look = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(document.body.dataset.address ?? location.href, { headers: { "X-Refresh": "1" } });
      if (!answer.ok || answer.redirected) throw new Error(`answered ${answer.status}`);
      swap(await answer.text());
      failedSince = null;
    } catch {
      failedSince ??= new Date();
    }
    asking = false;
    tell();
    if (regions().length) timer = setTimeout(look, period()); // else nothing changes any more
  };

  const listen = () => {
    const topics = document.querySelector("[data-live]")?.dataset.live;
    if (!topics || !window.EventSource) return;
    const source = new EventSource(`/live/events?${topics}`);
    let first = true;
    source.addEventListener("changed", () => {
      live = true;
      if (!first) look();
      first = false;
    });
    source.onerror = () => {
      live = false;
    };
    addEventListener("pagehide", () => source.close());
  };

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, period());
  listen();
})();
