"use strict";
// Draws atoms, bonds and arrows as SVG, the farthest first, so that they print, and turn, without any library.
document.addEventListener("DOMContentLoaded", () => {
  const STEPS = 60; // of one way there and back
  const MILLISECONDS = 40;
  const AMPLITUDE = 0.4; // Å by which the atom with the longest arrow moves
  const MARGIN = 0.45; // Å around atoms and ends of arrows
  const LEAST_HALF_HEIGHT = 1.7; // Å, so that few atoms are not huge
  const ASPECT = 1.4; // width of a view over its height
  const LETTER_HEIGHT = 0.3; // Å by which a letter lies before its atom, so that bonds to the reader do not cover it
  const DOT_LENGTH = 0.06; // Å in the picture below which an arrow is a dot
  const SHORTEST_ARROW = 0.15; // over the longest; shorter ones are not drawn
  const FADING = 0.55; // share of white in the color of the farthest atom
  const RADIANS_PER_PIXEL = 0.01;
  const RADIANS_PER_KEY = Math.PI / 18;
  const ZOOM_PER_KEY = 1.2;
  const INK = "#333333";
  const scenes = JSON.parse(document.getElementById("scenes").textContent);
  let playing = null; // the view that moves, of which there is one at a time

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const turn = (matrix, vector) => matrix.map((row) => dot(row, vector));
  const multiply = (a, b) => a.map((row) => [0, 1, 2].map((k) => row[0] * b[0][k] + row[1] * b[1][k] + row[2] * b[2][k]));

  function rotation(right, down) {
    const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
    return multiply([[1, 0, 0], [0, d, -t], [0, t, d]], [[c, 0, s], [0, 1, 0], [-s, 0, c]]);
  }

  function fade(color, white) {
    const parts = [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
    return `rgb(${parts.map((part) => Math.round(part + (255 - part) * white)).join(",")})`;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
      made.setAttribute(key, typeof value === "number" ? value.toFixed(3) : value);
    }
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Parts of an arrow from the rim of its atom: a halo, a shaft and a head, in the plane of the picture. An arrow along
  // the line of sight is a dot.
  function drawArrow(from, arrow, radius, color) {
    const flat = Math.hypot(arrow[0], arrow[1]);
    if (flat < DOT_LENGTH) return [element("circle", { cx: from[0], cy: -from[1], r: 0.09, fill: color })];
    const [x, y] = [arrow[0] / flat, arrow[1] / flat];
    const start = radius + 0.04;
    const length = start + flat;
    const head = Math.min(0.28, 0.7 * flat);
    const at = (along, across) => `${(from[0] + along * x - across * y).toFixed(3)},${(-from[1] - along * y - across * x).toFixed(3)}`;
    const line = `M${at(start, 0)}L${at(length - head, 0)}`;
    const tip = `M${at(length, 0)}L${at(length - head, 0.5 * head)}L${at(length - head, -0.5 * head)}Z`;
    const halo = { d: line + tip, fill: "#fff", stroke: "#fff", "stroke-width": 0.12, "stroke-linejoin": "round" };
    return [
      element("path", halo),
      element("path", { d: line, fill: "none", stroke: color, "stroke-width": 0.11 }),
      element("path", { d: tip, fill: color }),
    ];
  }

  function draw(view) {
    const { scene } = view;
    const move = scene.moves[view.move];
    const rest = scene.positions.map((place) => turn(view.matrix, place));
    const arrows = rest.map((_, i) => (move ? turn(view.matrix, move.arrows[i]) : [0, 0, 0]));
    const longest = Math.max(...arrows.map((arrow) => Math.hypot(...arrow)), 1e-9);
    const step = (view.along * AMPLITUDE) / longest;
    const places = rest.map((place, i) => place.map((x, k) => x + step * arrows[i][k]));
    // The picture holds the atoms at rest and their arrows, whichever part of a movement it shows.
    const ends = [...rest, ...rest.map((place, i) => place.map((x, k) => x + arrows[i][k]))];
    const [low, high] = [Math.min, Math.max].map((pick) => [0, 1].map((k) => pick(...ends.map((end) => end[k]))));
    const half = [0, 1].map((k) => (high[k] - low[k]) / 2 + MARGIN);
    const height = Math.max(half[1], half[0] / ASPECT, LEAST_HALF_HEIGHT) / view.zoom;
    const [x, y] = [0, 1].map((k) => (low[k] + high[k]) / 2);
    const box = [x - ASPECT * height, -y - height, 2 * ASPECT * height, 2 * height];

    const depths = places.map((place) => place[2]);
    const [back, front] = [Math.min(...depths), Math.max(...depths)];
    const white = (z) => (front - back > 0.1 ? (FADING * (front - z)) / (front - back) : 0);
    const parts = []; // pairs of a depth and elements
    for (const [i, j] of scene.bonds) {
      // Bonds go from rim to rim, so that they do not cross letters.
      const between = places[i].map((value, k) => places[j][k] - value);
      const length = Math.max(Math.hypot(...between), 1e-9);
      const [a, b] = [scene.radii[i], length - scene.radii[j]].map((part) => places[i].map((value, k) => value + (part / length) * between[k]));
      const middle = a.map((value, k) => (value + b[k]) / 2);
      for (const [end, other] of [[a, middle], [middle, b]]) {
        const z = (end[2] + other[2]) / 2;
        const line = { x1: end[0], y1: -end[1], x2: other[0], y2: -other[1], "stroke-width": 0.13 };
        parts.push([z - 0.02, [element("line", { ...line, stroke: fade("#8a8a8a", white(z)) })]]);
      }
    }
    places.forEach((place, i) => {
      const [cx, cy, r, paler] = [place[0], -place[1], scene.radii[i], white(place[2])];
      const drawn = [];
      if (i === 0) drawn.push(element("circle", { cx, cy, r: r + 0.13, fill: "#fff", stroke: INK, "stroke-width": 0.06 }));
      const fill = fade(scene.colors[i], paler);
      drawn.push(element("circle", { cx, cy, r, fill, stroke: fade(INK, paler), "stroke-width": 0.04 }));
      const letters = { x: cx, y: cy + 0.36 * r * (scene.symbols[i].length > 1 ? 0.9 : 1.1), "text-anchor": "middle" };
      const size = 1.1 * r * (scene.symbols[i].length > 1 ? 0.9 : 1.1);
      const text = element("text", { ...letters, "font-size": size, fill: fade("#1a1a1a", 0.6 * paler) }, scene.symbols[i]);
      parts.push([place[2], drawn], [place[2] + LETTER_HEIGHT, [text]]);
      if (move && Math.hypot(...arrows[i]) > SHORTEST_ARROW * longest) {
        // An arrow that points to the reader lies in front of its atom.
        parts.push([place[2] + LETTER_HEIGHT + Math.max(arrows[i][2], 0), drawArrow(place, arrows[i], scene.radii[i], move.color)]);
      }
    });
    parts.sort((a, b) => a[0] - b[0]);
    const shown = element("svg", { viewBox: box.map((value) => value.toFixed(3)).join(" "), role: "img" });
    shown.setAttribute("aria-label", `${scene.title}. ${move ? `${move.name}. ${move.moved}` : ""}`);
    shown.append(...parts.flatMap((part) => part[1]));
    view.element.replaceChildren(shown);
  }

  function stop() {
    if (!playing) return;
    clearInterval(playing.timer);
    playing.button.setAttribute("aria-pressed", "false");
    playing.button.textContent = "Animate";
    playing = null;
  }

  function place(figure) {
    const scene = scenes[Number(figure.dataset.scene)];
    const find = (name) => figure.querySelector(`.${name}`);
    const view = { scene, move: 0, along: 0, zoom: 1, element: find("view") };
    const reset = () => {
      view.matrix = (scene.moves[view.move] ?? scene).view;
      view.zoom = 1;
      draw(view);
    };
    const rotate = (right, down) => {
      view.matrix = multiply(rotation(right, down), view.matrix);
      draw(view);
    };
    const along = (value) => {
      view.along = value;
      find("along").value = value;
      draw(view);
    };
    const zoom = (factor) => {
      view.zoom *= factor;
      draw(view);
    };
    reset();

    const keys = {
      ArrowLeft: () => rotate(-RADIANS_PER_KEY, 0),
      ArrowRight: () => rotate(RADIANS_PER_KEY, 0),
      ArrowUp: () => rotate(0, -RADIANS_PER_KEY),
      ArrowDown: () => rotate(0, RADIANS_PER_KEY),
      "+": () => zoom(ZOOM_PER_KEY),
      "=": () => zoom(ZOOM_PER_KEY),
      "-": () => zoom(1 / ZOOM_PER_KEY),
      0: reset,
    };
    view.element.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    view.element.addEventListener("pointerdown", (event) => {
      view.element.setPointerCapture(event.pointerId);
      view.pointer = [event.clientX, event.clientY];
    });
    view.element.addEventListener("pointermove", (event) => {
      if (!view.pointer) return;
      const [x, y] = view.pointer;
      view.pointer = [event.clientX, event.clientY];
      rotate((event.clientX - x) * RADIANS_PER_PIXEL, (event.clientY - y) * RADIANS_PER_PIXEL);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      view.element.addEventListener(end, () => (view.pointer = null));
    }
    if (!scene.moves.length) return;
    find("move").addEventListener("change", (event) => {
      stop();
      view.move = Number(event.target.value);
      view.along = find("along").value = 0;
      find("moved").textContent = scene.moves[view.move].moved;
      reset();
    });
    find("along").addEventListener("input", (event) => {
      stop();
      along(Number(event.target.value));
    });
    find("reset").addEventListener("click", () => {
      stop();
      along(0);
      reset();
    });
    find("play").addEventListener("click", (event) => {
      const again = playing?.button !== event.target;
      stop();
      if (!again) return;
      let step = 0;
      event.target.setAttribute("aria-pressed", "true");
      event.target.textContent = "Stop";
      const timer = setInterval(() => along(Math.sin((2 * Math.PI * ++step) / STEPS)), MILLISECONDS);
      playing = { button: event.target, timer };
    });
  }

  document.querySelectorAll("figure.scene").forEach(place);
  window.addEventListener("beforeprint", stop);
});
