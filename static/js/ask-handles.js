// A handle on the photograph: dragged by mouse, pen or finger, and moved by the arrow keys when it has the focus.

const SVG = "http://www.w3.org/2000/svg";
const STEP = 0.005; // of the photograph's long side, for one press of an arrow key
const LARGE_STEP = 0.05; // the same with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** An SVG element with attributes. */
export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export class Handle {
  /**
   * label: what it is called. place(): [x, y], where it is now, in pixels of the photograph.
   * move(dx, dy): told of each movement. area: the SVG element in whose coordinates all this is.
   */
  constructor(area, { label, place, move, edge = false, size }) {
    Object.assign(this, { area, place, move, size });
    this.mark = draw("circle", { class: "handle-mark" });
    this.reach = draw("circle", { class: "handle-reach" });
    this.element = draw(
      "g",
      { class: edge ? "handle handle-edge" : "handle", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0 },
      this.reach,
      this.mark,
    );
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.element.addEventListener("pointerdown", (event) => this.take(event));
    // Not every browser heeds touch-action within an SVG; without this the page would scroll under the finger.
    this.element.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    this.edge = edge;
  }

  /** Put it where it belongs. unit: pixels of the photograph for one on the screen. */
  update(unit) {
    const [x, y] = this.place();
    const [width, height] = this.size;
    for (const circle of [this.mark, this.reach]) {
      circle.setAttribute("cx", x);
      circle.setAttribute("cy", y);
    }
    this.mark.setAttribute("r", (this.edge ? 6 : 9) * unit);
    this.reach.setAttribute("r", (this.edge ? 18 : 22) * unit);
    this.element.setAttribute("aria-valuemax", width);
    this.element.setAttribute("aria-valuenow", Math.round(x));
    this.element.setAttribute("aria-valuetext", `${percent(x / width)} across, ${percent(y / height)} down`);
  }

  press(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const step = (event.shiftKey ? LARGE_STEP : STEP) * Math.max(...this.size);
    // The arrows mean directions on the screen, also where the photograph is turned.
    const matrix = this.area.getScreenCTM().inverse();
    const [dx, dy] = [matrix.a * arrow[0] + matrix.c * arrow[1], matrix.b * arrow[0] + matrix.d * arrow[1]];
    const length = Math.hypot(dx, dy);
    this.move((step * dx) / length, (step * dy) / length);
  }

  take(event) {
    if (event.button !== 0) return;
    event.preventDefault(); // no selection, and no drawing of the photograph behind it
    event.stopPropagation();
    this.element.focus();
    this.element.setPointerCapture(event.pointerId);
    const grip = this.position(event).map((value, axis) => value - this.place()[axis]);
    const drag = (moved) => {
      const at = this.position(moved);
      const [x, y] = this.place();
      this.move(at[0] - grip[0] - x, at[1] - grip[1] - y);
    };
    const drop = () => {
      this.element.removeEventListener("pointermove", drag);
      this.element.removeEventListener("pointerup", drop);
      this.element.removeEventListener("pointercancel", drop);
    };
    this.element.addEventListener("pointermove", drag);
    this.element.addEventListener("pointerup", drop);
    this.element.addEventListener("pointercancel", drop);
  }

  position(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.area.getScreenCTM().inverse());
    return [point.x, point.y];
  }
}

const percent = (share) => `${Math.round(100 * share)} %`;
