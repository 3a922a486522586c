// Times as this person's clock shows them; without this script they are in UTC, and say so.
(function () {
  "use strict";
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
  for (const element of document.querySelectorAll("time[datetime]")) {
    element.title = element.textContent;
    element.textContent = format.format(new Date(element.dateTime));
  }
})();
