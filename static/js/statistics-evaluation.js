// The sliders of the evaluation page: what other thresholds would give, as models/verdict/rules.py and models/evaluation/metrics.py say.
(function () {
  "use strict";
  const form = document.getElementById("sliders");
  if (!form) {
    return;
  }
  const sliders = [...form.querySelectorAll("input[type=range]")];
  const use = document.getElementById("use");
  const panels = [...document.querySelectorAll("[data-panel]")]
    .map((element) => ({ element, number: element.dataset.panel, source: element.querySelector("[data-points]") }))
    .filter((panel) => panel.source)
    .map((panel) => ({ ...panel, points: JSON.parse(panel.source.textContent) }));

  function values() {
    return Object.fromEntries(sliders.map((slider) => [slider.name, Number(slider.value)]));
  }

  function verdict(points, row, at) {
    if (form.dataset.kind === "probability") {
      return points.logit[row] >= at.found ? "found" : points.logit[row] >= at.maybe ? "maybe" : "not_found";
    }
    if (!points.any[row]) {
      return "not_found";
    }
    const agrees = points.inliers[row] >= at.found_inliers && points.agreement[row] >= at.found_agreement;
    if (agrees || (points.inliers[row] >= at.sure_inliers && points.area[row] >= at.sure_area)) {
      return "found";
    }
    return points.inliers[row] >= at.maybe_inliers || points.similarity[row] >= at.maybe_similarity
      ? "maybe" : "not_found";
  }

  function judge(points, at) {
    const counts = { found: 0, maybe: 0, not_found: 0, right_found: 0, wrong_found: 0, false_found: 0, inside: 0 };
    points.inside.forEach(function (inside, row) {
      const said = verdict(points, row, at);
      counts[said] += 1;
      counts.inside += inside;
      if (said === "found") {
        counts[inside ? (points.first[row] ? "right_found" : "wrong_found") : "false_found"] += 1;
      }
    });
    return counts;
  }

  // Wilson's interval, as models/evaluation/metrics.py has it.
  function wilson(successes, trials) {
    const z = 1.96;
    const share = successes / trials;
    const centre = share + (z * z) / (2 * trials);
    const margin = z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
    const scale = 1 + (z * z) / trials;
    return [Math.max(0, (centre - margin) / scale), Math.min(1, (centre + margin) / scale)];
  }

  // Percentages as web/statistics/measures.py writes them.
  function decimals(share) {
    return share > 0 ? Math.max(1, Math.min(4, Math.ceil(-Math.log10(share)) - 1)) : 1;
  }

  function percent(share, digits = decimals(Math.min(share, 1 - share))) {
    return `${(100 * share).toFixed(digits)} %`;
  }

  function percentRange([low, high]) {
    const digits = decimals(high - low);
    return `${percent(low, digits)} to ${percent(high, digits)}`;
  }

  const shareOf = (part, whole) => (whole ? percent(part / whole) : "–");
  const intervalOf = (part, whole) => (whole ? percentRange(wilson(part, whole)) : "–");

  function show(panel, at) {
    const counts = judge(panel.points, at);
    const all = panel.points.inside.length;
    const texts = {
      ...counts,
      precision: shareOf(counts.right_found, counts.found),
      "precision-interval": intervalOf(counts.right_found, counts.found),
      recall: shareOf(counts.right_found, counts.inside),
      "recall-interval": intervalOf(counts.right_found, counts.inside),
      "maybe-share": shareOf(counts.maybe, all),
    };
    panel.element.querySelectorAll("[data-out]").forEach((place) => (place.textContent = texts[place.dataset.out]));
    for (const name of window.statisticsPlots.names().filter((name) => name.startsWith(`${panel.number}-`))) {
      if (name.endsWith("precision-recall")) {
        window.statisticsPlots.point(
          name,
          counts.inside ? counts.right_found / counts.inside : null,
          counts.found ? counts.right_found / counts.found : null,
        );
      } else {
        window.statisticsPlots.move(name, at);
      }
    }
    return `${texts.precision} precision, ${texts.recall} recall, ${counts.maybe} not sure`;
  }

  // Names what is far from where the verdict is found: the text beside a slider.
  function written(slider) {
    const value = Number(slider.value);
    return slider.step === "any" ? percent(1 / (1 + Math.exp(-value))) : String(Number(value.toFixed(4)));
  }

  let waiting = 0;
  function update() {
    waiting = 0;
    const at = values();
    for (const slider of sliders) {
      form.querySelector(`[data-value="${slider.name}"]`).textContent = written(slider);
      slider.setAttribute("aria-valuetext", written(slider));
      if (use) {
        use.elements[slider.name].value = slider.value;
      }
    }
    const told = panels.map((panel) => show(panel, at));
    document.getElementById("told").textContent = told.join("; ");
  }

  form.addEventListener("input", function () {
    waiting = waiting || requestAnimationFrame(update);
  });
  document.getElementById("reset").addEventListener("click", function (event) {
    event.preventDefault();
    sliders.forEach((slider) => (slider.value = slider.dataset.holds));
    update();
  });
  form.querySelector("[data-without-script]").hidden = true;
  sliders.forEach((slider) => slider.setAttribute("aria-valuetext", written(slider)));
})();
