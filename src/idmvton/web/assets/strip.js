// A row of small pictures to choose from.
function show() {
  const value = props.value || { items: [] };
  const strip = element.querySelector(".strip");
  if (!strip) return;
  strip.setAttribute("aria-label", value.label || "");
  strip.replaceChildren();
  for (const item of value.items) {
    const cell = document.createElement("div");
    cell.className = "strip-cell";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "strip-item";
    button.setAttribute("aria-label", item.alt);
    button.title = item.alt;
    button.setAttribute("aria-pressed", Boolean(item.chosen));
    button.onclick = () => trigger("picked", { id: item.id });
    const picture = document.createElement("img");
    picture.src = item.src;
    picture.alt = "";
    button.append(picture);
    if (item.mark) {
      const mark = document.createElement("span");
      mark.className = "strip-mark";
      mark.textContent = item.mark;
      button.append(mark);
    }
    cell.append(button);
    if (item.remove) {
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "strip-remove";
      remove.textContent = "×";
      remove.setAttribute("aria-label", item.remove);
      remove.onclick = () => trigger("removed", { id: item.id });
      cell.append(remove);
    }
    strip.append(cell);
  }
}
watch("value", show);
show();
