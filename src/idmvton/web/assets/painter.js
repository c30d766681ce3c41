// The mask over the photo, to paint and erase. The mask is one canvas of its own: what counts is its alpha.
const find = (query) => element.querySelector(query);
const COLOUR = "#e0316f";
const mine = { tool: null, undo: [], last: null, shown: null };

const canvas = () => find(".painter-mask");
const context = () => canvas().getContext("2d", { willReadFrequently: true });

function picture(source) {
  return new Promise((done, failed) => {
    const made = new Image();
    made.onload = () => done(made);
    made.onerror = failed;
    made.src = source;
  });
}

async function show() {
  const value = props.value;
  if (!value || !value.photo || !canvas()) return;
  const texts = value.texts;
  find(".painter-photo").src = value.photo;
  find(".painter-photo").alt = texts.photo;
  canvas().setAttribute("aria-label", texts.mask);
  find(".painter-tools").setAttribute("aria-label", texts.tools);
  find("input").setAttribute("aria-label", texts.size);
  for (const name of ["paint", "erase"]) find(`[data-do=${name}] span`).textContent = texts[name];
  for (const name of ["undo", "reset"]) {
    find(`[data-do=${name}]`).setAttribute("aria-label", texts[name]);
    find(`[data-do=${name}]`).title = texts[name];
  }
  pins(value);
  const key = value.version;
  const mask = await picture(value.mask);
  if (props.value !== value && props.value.version !== key) return;
  const canvasNow = canvas();
  canvasNow.width = mask.naturalWidth;
  canvasNow.height = mask.naturalHeight;
  context().drawImage(mask, 0, 0);
  if (mine.shown !== value.photo) choose(null);
  mine.shown = value.photo;
  mine.undo = [];
  enable();
  element.dataset.ready = key;
}

function pins(value) {
  const place = find(".painter-pins");
  place.replaceChildren();
  if (value.people.length < 2) return;
  value.people.forEach((each, number) => {
    const pin = document.createElement("button");
    pin.type = "button";
    pin.className = "painter-pin";
    pin.style.left = `${each.x * 100}%`;
    pin.style.top = `${each.y * 100}%`;
    pin.textContent = number + 1;
    pin.setAttribute("aria-label", each.label);
    pin.setAttribute("aria-pressed", each.chosen);
    pin.onclick = () => trigger("chosen", { number: number + 1 });
    place.append(pin);
  });
}

function choose(tool) {
  mine.tool = mine.tool === tool ? null : tool;
  find(".painter").dataset.tool = mine.tool || "";
  for (const name of ["paint", "erase"]) find(`[data-do=${name}]`).setAttribute("aria-pressed", mine.tool === name);
}

function enable() {
  find("[data-do=undo]").disabled = !mine.undo.length;
  find("[data-do=reset]").disabled = !props.value.edited && !mine.undo.length;
}

function at(event) {
  const box = canvas().getBoundingClientRect();
  const scale = canvas().width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale, scale };
}

function ring(event) {
  const size = find("input").value;
  const box = find(".painter-stage").getBoundingClientRect();
  const mark = find(".painter-ring");
  mark.style.width = mark.style.height = `${size}px`;
  mark.style.left = `${event.clientX - box.left}px`;
  mark.style.top = `${event.clientY - box.top}px`;
}

function stroke(from, to) {
  const pen = context();
  pen.globalCompositeOperation = mine.tool === "erase" ? "destination-out" : "source-over";
  pen.strokeStyle = pen.fillStyle = COLOUR;
  pen.lineWidth = find("input").value * to.scale;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(from.x, from.y);
  pen.lineTo(to.x + 0.01, to.y);
  pen.stroke();
}

function send() {
  const mask = canvas().toDataURL("image/png");
  props.value = { ...props.value, mask, edited: true }; // kept when another tab takes this one's place
  trigger("painted", { mask });
  enable();
}

element.addEventListener("pointerdown", (event) => {
  if (!mine.tool || !event.target.closest(".painter-mask") || event.button) return;
  event.preventDefault();
  canvas().setPointerCapture(event.pointerId);
  mine.undo.push(canvas().toDataURL("image/png"));
  if (mine.undo.length > 20) mine.undo.shift();
  mine.last = at(event);
  ring(event);
  stroke(mine.last, mine.last);
});
element.addEventListener("pointermove", (event) => {
  if (mine.tool && event.target.closest(".painter-stage")) ring(event);
  if (!mine.last) return;
  const now = at(event);
  stroke(mine.last, now);
  mine.last = now;
});
for (const name of ["pointerup", "pointercancel"]) {
  element.addEventListener(name, () => {
    if (!mine.last) return;
    mine.last = null;
    send();
  });
}
element.addEventListener("click", async (event) => {
  const wanted = event.target.closest("[data-do]")?.dataset.do;
  if (wanted === "paint" || wanted === "erase") choose(wanted);
  if (wanted === "reset") trigger("cleared", {});
  if (wanted === "undo" && mine.undo.length) {
    const before = await picture(mine.undo.pop());
    context().globalCompositeOperation = "copy";
    context().drawImage(before, 0, 0);
    send();
  }
});
watch("value", show);
show();
