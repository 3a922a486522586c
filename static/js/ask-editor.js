// The photograph before asking: crop it, turn it, choose works on it. Coordinates are pixels of the photograph.

import { clamp, frontSize, isSound, rectangle, resized, straightening } from "./ask-geometry.js";
import { draw, Handle } from "./ask-handles.js";

const HANDLES = {
  "Upper left corner": ["left", "top"],
  "Upper edge": ["top"],
  "Upper right corner": ["right", "top"],
  "Right edge": ["right"],
  "Lower right corner": ["right", "bottom"],
  "Lower edge": ["bottom"],
  "Lower left corner": ["left", "bottom"],
  "Left edge": ["left"],
};
const CORNERS = ["upper left", "upper right", "lower right", "lower left"];
const PREVIEW = 128; // pixels on the screen; the long side of a straightened work

export class Editor {
  /** svg, previews: elements to draw in. changed(): told when what would be asked for has changed. */
  constructor(svg, previews, changed) {
    Object.assign(this, { svg, previews, changed });
    new ResizeObserver(() => this.place()).observe(svg);
  }

  /** Begin with a photograph as the site describes it. */
  open(photograph) {
    this.photograph = photograph;
    this.found = null; // the corners of works, once they were looked for
    const { width, height, picture } = photograph;
    this.marks = draw("g");
    this.turned = draw("g", {}, draw("image", { href: picture, width, height }), this.marks);
    this.svg.replaceChildren(this.turned);
    this.reset();
  }

  /** The photograph as it came. */
  reset() {
    const { width, height } = this.photograph;
    this.turns = 0;
    this.crop = { left: 0, top: 0, right: width, bottom: height };
    this.works = null; // null: one crops; else works to choose from
    this.build();
  }

  /** Turn everything by quarters, clockwise. */
  turn(quarters) {
    this.turns = (this.turns + quarters + 4) % 4;
    this.build();
  }

  /** Offer works to choose from. corners: of each work; the only one is chosen at once. */
  offer(corners) {
    this.works = corners.map((four) => ({ corners: four.map((corner) => [...corner]), chosen: corners.length === 1 }));
    this.build();
  }

  /** Back from the choice of works to the crop. */
  withdraw() {
    this.works = null;
    this.build();
  }

  get chosen() {
    return (this.works ?? []).filter((work) => work.chosen);
  }

  get isCropped() {
    const { width, height } = this.photograph;
    return this.crop.left > 0 || this.crop.top > 0 || this.crop.right < width || this.crop.bottom < height;
  }

  /** What is asked for, as the site wants it. */
  regions() {
    if (this.chosen.length) return this.chosen.map(({ corners }) => ({ corners, turns: this.turns }));
    const corners = !this.works && this.isCropped ? rectangle(this.crop) : null;
    return [{ corners, turns: this.turns }];
  }

  /** What is asked for, in words. */
  words() {
    const { length } = this.chosen;
    const turned = ["", ", turned right", ", upside down", ", turned left"][this.turns];
    if (length > 1) return `${length} works, one answer each${turned}`;
    if (length === 1) return `One work, straightened${turned}`;
    if (this.works) return `The whole picture${turned}. You can select one or more paintings in it.`;
    return (this.isCropped ? "The part within the handles" : "The whole picture") + turned;
  }

  /** Draw everything anew. */
  build() {
    const { width, height } = this.photograph;
    const turned = this.turns % 2 === 1;
    this.svg.setAttribute("viewBox", `0 0 ${turned ? `${height} ${width}` : `${width} ${height}`}`);
    const shift = ["", `translate(${height} 0)`, `translate(${width} ${height})`, `translate(0 ${width})`][this.turns];
    this.turned.setAttribute("transform", `${shift} rotate(${90 * this.turns})`);
    this.kept = draw("mask", { id: "kept" });
    this.shade = draw("rect", { class: "shade", width, height, mask: "url(#kept)" });
    this.outlines = (this.works ?? []).map((work, index) => this.outline(work, index));
    this.handles = this.works ? this.works.flatMap((work, index) => this.cornerHandles(work, index)) : this.cropHandles();
    const elements = [...this.outlines, ...this.handles].map(({ element }) => element);
    this.marks.replaceChildren(this.kept, this.shade, ...elements);
    this.place();
    this.report();
  }

  /** Put marks where they belong, as large as they are wanted on the screen. */
  place() {
    const matrix = this.turned?.getScreenCTM();
    if (!matrix || !this.svg.clientWidth) return;
    const unit = 1 / Math.hypot(matrix.a, matrix.b);
    const { width, height } = this.photograph;
    const kept = this.works ? this.chosen.map(({ corners }) => corners) : [rectangle(this.crop)];
    // Where no work is chosen, all of the picture is asked for.
    const holes = kept.map((corners) => draw("polygon", { points: corners.join(" "), fill: "black" }));
    const white = draw("rect", { width, height, fill: kept.length ? "white" : "black" });
    this.kept.replaceChildren(white, ...holes);
    for (const { work, shape, number } of this.outlines) {
      shape.setAttribute("points", work.corners.join(" "));
      const middle = [0, 1].map((axis) => work.corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
      const upright = `translate(${middle.join(" ")}) rotate(${-90 * this.turns}) scale(${unit})`;
      number.setAttribute("transform", upright);
    }
    for (const handle of this.handles) handle.update(unit);
  }

  report() {
    this.preview();
    this.changed();
  }

  cropHandles() {
    const { width, height } = this.photograph;
    return Object.entries(HANDLES).map(([label, moved]) => {
      const middle = (a, b) => (this.crop[a] + this.crop[b]) / 2;
      const horizontal = moved.find((edge) => edge === "left" || edge === "right");
      const vertical = moved.find((edge) => edge === "top" || edge === "bottom");
      return this.handle({
        label,
        edge: moved.length === 1,
        place: () => [
          horizontal ? this.crop[horizontal] : middle("left", "right"),
          vertical ? this.crop[vertical] : middle("top", "bottom"),
        ],
        move: (dx, dy) => {
          this.crop = resized(this.crop, moved, dx, dy, width, height);
        },
      });
    });
  }

  cornerHandles(work, index) {
    if (!work.chosen) return [];
    const { width, height } = this.photograph;
    return CORNERS.map((name, corner) =>
      this.handle({
        label: `Painting ${index + 1}, ${name} corner`,
        place: () => work.corners[corner],
        move: (dx, dy) => {
          const corners = work.corners.map((each) => [...each]);
          corners[corner] = [clamp(corners[corner][0] + dx, 0, width), clamp(corners[corner][1] + dy, 0, height)];
          if (isSound(corners)) work.corners = corners;
        },
      }),
    );
  }

  handle({ move, ...options }) {
    const { width, height } = this.photograph;
    const report = (dx, dy) => {
      move(dx, dy);
      this.place();
      this.report();
    };
    return new Handle(this.turned, { size: [width, height], move: report, ...options });
  }

  /** A work that can be chosen: a button in the shape of its outline. */
  outline(work, index) {
    const shape = draw("polygon");
    const number = draw("g", { class: "number", "aria-hidden": true }, draw("circle", { r: 14 }));
    const text = draw("text", { "text-anchor": "middle", dy: "0.35em" });
    text.textContent = index + 1;
    number.append(text);
    const element = draw(
      "g",
      {
        class: "painting",
        role: "button",
        tabindex: 0,
        "aria-label": `Painting ${index + 1} of ${this.works.length}`,
        "aria-pressed": work.chosen,
      },
      shape,
      number,
    );
    const choose = () => {
      work.chosen = !work.chosen;
      this.build();
      this.outlines[index].element.focus({ preventScroll: true });
    };
    element.addEventListener("click", choose);
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose();
    });
    return { work, shape, number, element };
  }

  /** Show each chosen work as it will be seen: from the front. */
  preview() {
    this.previews.replaceChildren(
      ...this.chosen.map(({ corners }) => {
        const size = frontSize(corners, this.turns);
        const [width, height] = size.map((side) => Math.round((PREVIEW * side) / Math.max(...size)));
        const image = new Image(this.photograph.width, this.photograph.height);
        image.src = this.photograph.picture;
        image.alt = `Painting ${1 + this.works.findIndex((work) => work.corners === corners)}, straightened`;
        image.style.transform = straightening(corners, this.turns, width, height);
        const box = document.createElement("li");
        box.style.width = `${width}px`;
        box.style.height = `${height}px`;
        box.append(image);
        return box;
      }),
    );
  }
}
