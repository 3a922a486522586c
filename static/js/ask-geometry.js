// Four corners on a photograph: plain numbers, no page. A corner is [x, y] in pixels; corners go clockwise from the
// upper left; y grows downwards.

const LEAST = 24; // pixels of a photograph; a side shorter than this shows no work

/** The corners of a rectangle. */
export function rectangle({ left, top, right, bottom }) {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/** Whether four corners are convex and clockwise, with room between them. */
export function isSound(corners) {
  return corners.every((corner, index) => {
    const next = corners[(index + 1) % 4];
    const after = corners[(index + 2) % 4];
    const side = [next[0] - corner[0], next[1] - corner[1]];
    const turn = side[0] * (after[1] - next[1]) - side[1] * (after[0] - next[0]);
    const lengths = Math.hypot(...side) * Math.hypot(after[0] - next[0], after[1] - next[1]);
    return Math.hypot(...side) >= LEAST && turn > 0.1 * lengths;
  });
}

/** A rectangle whose edges named in `moved` went by (dx, dy), within the picture and not too small. */
export function resized(crop, moved, dx, dy, width, height) {
  const next = { ...crop };
  if (moved.includes("left")) next.left = clamp(crop.left + dx, 0, crop.right - LEAST);
  if (moved.includes("right")) next.right = clamp(crop.right + dx, crop.left + LEAST, width);
  if (moved.includes("top")) next.top = clamp(crop.top + dy, 0, crop.bottom - LEAST);
  if (moved.includes("bottom")) next.bottom = clamp(crop.bottom + dy, crop.top + LEAST, height);
  return next;
}

export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

/** [width, height] of what lies within four corners, seen from the front, in quarter turns clockwise. */
export function frontSize(corners, turns) {
  const side = (a, b) => Math.hypot(corners[a][0] - corners[b][0], corners[a][1] - corners[b][1]);
  const size = [Math.max(side(0, 1), side(2, 3)), Math.max(side(1, 2), side(3, 0))];
  return turns % 2 ? size.reverse() : size;
}

/** CSS's matrix3d that lays a picture so that four of its corners become those of a box of width x height. */
export function straightening(corners, turns, width, height) {
  const [a, b, c, d] = corners.map((_, index) => corners[(index + 4 - turns) % 4]);
  // The projective map of the unit square to the corners (Heckbert 1989), and its inverse by the adjugate.
  const across = [b[0] - c[0], b[1] - c[1]];
  const down = [d[0] - c[0], d[1] - c[1]];
  const sum = [a[0] - b[0] + c[0] - d[0], a[1] - b[1] + c[1] - d[1]];
  const determinant = across[0] * down[1] - down[0] * across[1];
  const g = (sum[0] * down[1] - down[0] * sum[1]) / determinant;
  const h = (across[0] * sum[1] - sum[0] * across[1]) / determinant;
  const m = [
    [b[0] - a[0] + g * b[0], d[0] - a[0] + h * d[0], a[0]],
    [b[1] - a[1] + g * b[1], d[1] - a[1] + h * d[1], a[1]],
    [g, h, 1],
  ];
  const cofactor = (row, column) => {
    const [r1, r2] = [(row + 1) % 3, (row + 2) % 3];
    const [c1, c2] = [(column + 1) % 3, (column + 2) % 3];
    return m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1];
  };
  const scale = [width, height, 1];
  const inverse = (row, column) => (scale[row] * cofactor(column, row)) / cofactor(2, 2);
  const columns = [0, 1, 2].map((column) => [0, 1, 2].map((row) => inverse(row, column)));
  const [x, y, one] = columns;
  return `matrix3d(${[x[0], x[1], 0, x[2], y[0], y[1], 0, y[2], 0, 0, 1, 0, one[0], one[1], 0, one[2]].join(",")})`;
}
