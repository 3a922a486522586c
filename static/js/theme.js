// Light or dark: as the person chose, else as the system does. Runs before the page is drawn.
(function () {
  "use strict";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // Storage may be switched off: then the system decides.
  }

  function isDark() {
    return chosen ? chosen === "dark" : system.matches;
  }

  function apply() {
    root.dataset.bsTheme = isDark() ? "dark" : "light";
    const button = document.getElementById("theme");
    if (button) {
      button.hidden = false;
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
    }
  }

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    apply();
    document.getElementById("theme").addEventListener("click", function () {
      chosen = isDark() ? "light" : "dark";
      try {
        localStorage.setItem("theme", chosen);
      } catch {
        // It holds for this page then.
      }
      apply();
    });
  });
})();
