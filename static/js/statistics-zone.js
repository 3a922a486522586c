// Days are shown in the viewer's time zone: where the address names none, it is opened again with it.
(function () {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const form = document.getElementById("span");
  if (form.dataset.zone === "open" && zone && zone !== form.elements.tz.value) {
    const address = new URL(location.href);
    address.searchParams.set("tz", zone);
    location.replace(address);
  }
})();
