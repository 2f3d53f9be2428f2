/* Says in the title when a town is about to go to sleep, so that a tab in the background is seen. */
"use strict";
(() => {
  const title = document.title;
  const tell = () => {
    const warning = document.querySelector("[data-warning]");
    document.title = warning ? `⏰ ${warning.dataset.warning} goes to sleep soon` : title;
  };
  document.addEventListener("towns:refreshed", tell);
  tell();
})();
