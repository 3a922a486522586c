// Keys that press what carries their name: data-key="r". Not while somebody types, nor with Ctrl, Alt or Meta.
(function () {
  "use strict";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const meant = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!meant) return;
    event.preventDefault(); // or the letter would be typed into the field that gets the focus
    if (meant.matches("input")) meant.select();
    else meant.click();
  });
})();
