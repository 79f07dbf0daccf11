// Lets readers turn the scenes of a notebook by dragging. What it draws is what displacement_svg.py draws.
(() => {
  const turned = (m, v) => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
  const product = (a, b) => a.map((row) => [0, 1, 2].map((k) => row[0] * b[0][k] + row[1] * b[1][k] + row[2] * b[2][k]));
  const safe = (text) => text.replace(/[^A-Za-z]/g, "");
  function elements(scene, m) {
    const places = scene.places.map((place) => turned(m, place));
    const depths = places.map((place) => place[2]);
    const low = Math.min(...depths), high = Math.max(...depths);
    const found = [];
    const looks = [
      [scene.bonds, 'stroke="#bbb" stroke-width="0.09"'],
      [scene.threads, 'stroke="#999" stroke-width="0.025" stroke-dasharray="0.06 0.06"'],
    ];
    for (const [pairs, look] of looks)
      for (const [i, j] of pairs) {
        const [x, y, z] = places[i], [u, v, w] = places[j];
        found.push([Math.min(z, w) - 0.01, `<line x1="${x}" y1="${-y}" x2="${u}" y2="${-v}" ${look}/>`]);
      }
    places.forEach(([x, y, z], k) => {
      const near = (z - low) / Math.max(high - low, 1e-9), radius = scene.radii[k];
      let text = `<circle cx="${x}" cy="${-y}" r="${radius}" fill="${scene.fills[k]}" stroke="#333" stroke-width="0.03" stroke-opacity="${0.35 + 0.65 * near}"/>`;
      if (radius > 0.1)
        text += `<text x="${x}" y="${-y + 0.36 * radius}" font-size="${1.05 * radius}" text-anchor="middle" fill="#222">${safe(scene.symbols[k])}</text>`;
      if (scene.arrows[k]) {
        const [a, b] = turned(m, scene.arrows[k]), length = Math.hypot(a, b);
        if (length > 1e-3) {
          const dx = a / length, dy = b / length, head = Math.min(scene.head, 0.7 * length);
          const sx = x + radius * dx, sy = y + radius * dy, tx = sx + a, ty = sy + b;
          const bx = tx - head * dx, by = ty - head * dy, w = 0.4 * head;
          const corners = [[tx, ty], [bx - w * dy, by + w * dx], [bx + w * dy, by - w * dx]];
          const points = corners.map(([p, q]) => `${p},${-q}`).join(" ");
          text += `<line x1="${sx}" y1="${-sy}" x2="${bx}" y2="${-by}" stroke="${scene.color}" stroke-width="0.06"/><polygon points="${points}" fill="${scene.color}"/>`;
        }
      }
      found.push([z, text]);
    });
    return found.sort((one, other) => one[0] - other[0]).map((one) => one[1]).join("");
  }
  for (const svg of document.querySelectorAll("svg.jaxfeat-scene:not([data-turns])")) {
    svg.dataset.turns = "";
    svg.style.cursor = "grab";
    svg.style.touchAction = "none";
    const scene = JSON.parse(svg.dataset.scene);
    let m = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    svg.addEventListener("pointerdown", (event) => svg.setPointerCapture(event.pointerId));
    svg.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      const a = event.movementX / 90, b = event.movementY / 90;
      const about_y = [[Math.cos(a), 0, Math.sin(a)], [0, 1, 0], [-Math.sin(a), 0, Math.cos(a)]];
      const about_x = [[1, 0, 0], [0, Math.cos(b), -Math.sin(b)], [0, Math.sin(b), Math.cos(b)]];
      m = product(about_x, product(about_y, m));
      svg.innerHTML = elements(scene, m);
    });
  }
})();
