"use strict";
// The buttons of the table come after this script.
document.addEventListener("DOMContentLoaded", () => {
  const element = (id) => document.getElementById(id);
  const scenes = JSON.parse(element("scenes").textContent);
  const failed = (reason) => {
    element("scene").hidden = true;
    element("scene-failed").hidden = false;
    element("scene-failed").textContent = `The 3D view cannot be drawn here: ${reason}`;
  };
  const STEPS = 60; // of one way there and back
  const MILLISECONDS = 40;
  const MARGIN = 0.8; // Å around the atoms' places
  // The viewer's camera is this far from where it looks, less the zoom, and sees half of this angle up and down.
  const CAMERA = { distance: 150, angle: (20 * Math.PI) / 180 };
  let viewer, timer;
  let shown = { scene: 0, move: 0, along: 0, fresh: true };

  const arrows = (vectors) => ({
    displacement: {
      kind: "arrow",
      parameters: {
        global: { baseRadius: 0.06, headRadius: 0.14, headLength: 0.2, color: "#D55E00" },
        atom: vectors.map((vector) => ({ vector })),
      },
    },
  });

  function camera(radius) {
    const { width, height } = element("scene").getBoundingClientRect();
    const half = (radius + MARGIN) * Math.max(1, height / width);
    const zoom = CAMERA.distance - half / Math.tan(CAMERA.angle / 2);
    return { center: { x: 0, y: 0, z: 0 }, eye: { x: 0, y: 0, z: zoom }, up: { x: 0, y: 1, z: 0 }, zoom };
  }

  function draw() {
    const scene = scenes[shown.scene];
    const move = scene.moves[shown.move];
    const at = (axis) =>
      scene.positions.map((place, i) => place[axis] + (move ? (shown.along * move.arrows[i][axis]) / 2 : 0));
    const structure = { size: scene.symbols.length, names: scene.symbols, x: at(0), y: at(1), z: at(2) };
    if (move) structure.shapes = arrows(move.arrows);
    // The center in a sphere of its own; every neighbor is within its cutoff.
    const centers = scene.symbols.map((_, i) =>
      i === 0 && scene.has_center ? { structure: 0, center: 0, cutoff: 3 * scene.radius } : undefined,
    );
    const options = { keepOrientation: !shown.fresh };
    if (scene.has_center) Object.assign(options, { environments: centers, highlight: 0 });
    viewer.load(structure, undefined, options);
    viewer.applySettings({
      bonds: true,
      keepOrientation: true,
      shape: move ? "displacement" : "",
      environments: { activated: scene.has_center, cutoff: 3 * scene.radius },
    });
    if (shown.fresh) viewer.applySettings({ camera: camera(scene.radius) });
    shown.fresh = false;
  }

  // Its menu is styled by the page that chemiscope comes with; here it would be a heap of plain boxes.
  function hideSettings() {
    const hidden = new CSSStyleSheet();
    hidden.replaceSync("button { display: none; }");
    for (const child of element("scene").children) child.shadowRoot?.adoptedStyleSheets.push(hidden);
  }

  function choose(k) {
    stop();
    shown = { scene: k, move: 0, along: 0, fresh: true };
    const scene = scenes[k];
    element("scene-title").textContent = scene.title;
    element("direction").replaceChildren(...scene.moves.map((move, i) => new Option(move.name, i)));
    element("direction").disabled = element("along").disabled = element("play").disabled = !scene.moves.length;
    element("along").value = 0;
    for (const button of document.querySelectorAll("button[data-scene]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.scene) === k));
      button.closest("tr").classList.toggle("chosen", Number(button.dataset.scene) === k);
    }
    draw();
  }

  function along(value) {
    shown.along = value;
    element("along").value = value;
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    element("play").setAttribute("aria-pressed", "false");
    element("play").textContent = "Move";
  }

  function play() {
    if (timer !== undefined) return stop();
    let step = 0;
    element("play").setAttribute("aria-pressed", "true");
    element("play").textContent = "Stop";
    timer = setInterval(() => along(Math.sin((2 * Math.PI * ++step) / STEPS)), MILLISECONDS);
  }

  try {
    viewer = new Chemiscope.MoleculeViewer("scene", undefined, new Chemiscope.Warnings());
    hideSettings();
    choose(0);
  } catch (error) {
    return failed(error.message);
  }
  element("direction").addEventListener("change", (event) => {
    shown.move = Number(event.target.value);
    draw();
  });
  element("along").addEventListener("input", (event) => {
    stop();
    along(Number(event.target.value));
  });
  element("play").addEventListener("click", play);
  for (const button of document.querySelectorAll("button[data-scene]")) {
    button.addEventListener("click", () => {
      choose(Number(button.dataset.scene));
      element("view").scrollIntoView({ block: "nearest" });
    });
  }
});
