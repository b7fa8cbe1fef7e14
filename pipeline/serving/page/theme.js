// Before anything is drawn: the theme that was chosen last time.
"use strict";

try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* a browser without a memory */ }
