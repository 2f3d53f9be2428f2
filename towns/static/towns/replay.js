// Looks again at a replay that is under way, in place, until it is over.
"use strict";

(() => {
  const find = (page) => page.querySelector("[data-replay]");
  const pause = 3000;

  const look = async () => {
    const shown = find(document);
    if (!shown || !shown.dataset.refresh) {
      return;
    }
    if (!document.hidden) {
      try {
        const answer = await fetch(window.location.href, { credentials: "same-origin" });
        const text = answer.ok ? await answer.text() : "";
        const fresh = text && find(new DOMParser().parseFromString(text, "text/html"));
        // Whoever has the keyboard in it is not thrown out, but for the result.
        const busy = shown.contains(document.activeElement);
        if (fresh && (!busy || !fresh.dataset.refresh)) {
          shown.replaceWith(fresh);
        }
      } catch (error) {
        if (!(error instanceof TypeError)) {
          throw error;
        } // the network was away: the next look tells
      }
    }
    window.setTimeout(look, pause);
  };

  window.setTimeout(look, pause);
})();
