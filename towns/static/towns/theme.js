/* What the theme's pages lack for keyboards and screen readers, and under our policy (csp.py). */
"use strict";
(() => {
  /* What scrolls is a region to a screen reader, and each needs a name of its own. */
  const REGIONS = {
    "#nav-sidebar-apps": "Menu",
    "[data-simplebar]:has(> #result_list)": "List",
    "#changelist-filter [data-simplebar]": "Filters",
  };
  /* What takes a click takes the keyboard too. An icon's text is no name. */
  const BUTTONS = {
    'span[x-on\\:click^="sidebarDesktopOpen"]': "Hide or show the menu",
    'span[x-on\\:click^="sidebarMobileOpen"]': "Hide or show the menu",
    'a[x-on\\:click^="filterOpen"]': "",
    'a[x-on\\:click^="openTheme"]': "Light or dark",
    'a[x-on\\:click^="adminTheme"]': "",
    'div[x-on\\:click^="openUserLinks"]': "Your account",
  };

  const mend = () => {
    for (const [selector, name] of Object.entries(REGIONS))
      document.querySelector(selector)?.setAttribute("data-simplebar-aria-label", name);
    for (const [selector, name] of Object.entries(BUTTONS))
      for (const one of document.querySelectorAll(selector)) {
        one.setAttribute("role", "button");
        one.setAttribute("tabindex", "0");
        if (name) one.setAttribute("aria-label", name);
        one.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          one.click();
        });
      }
  };

  /* A style that is given as a text becomes an attribute, which our policy refuses; one that is
     given as an object does not. */
  const restyle = () => {
    const bar = document.getElementById("changelist-actions");
    bar?.setAttribute("x-bind:style", "{ width: changeListWidth + 'px' }");
  };

  document.addEventListener("DOMContentLoaded", mend); // before the theme's own, which comes later
  document.addEventListener("alpine:init", restyle);
})();
