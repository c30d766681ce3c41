// What the model has learned: pictures before and after, to try on or to delete.
function made(tag, name, text) {
  const one = document.createElement(tag);
  if (name) one.className = name;
  if (text) one.textContent = text;
  return one;
}

function show() {
  const { items, label, texts } = props.value || { items: [] };
  const list = element.querySelector(".learned");
  if (!list) return;
  list.setAttribute("aria-label", label || "");
  list.replaceChildren();
  for (const item of items) {
    const row = made("div", "learned-item");
    row.setAttribute("role", "listitem");
    if (item.src) {
      const picture = made("img");
      picture.src = item.src;
      picture.alt = texts.picture;
      row.append(picture);
    }
    const told = made("div", "learned-told");
    told.append(made("strong", "", item.name), made("span", "", item.facts));
    const use = made("button", "learned-use", texts.use);
    const remove = made("button", "learned-remove", texts.remove);
    for (const [button, name] of [[use, "used"], [remove, "removed"]]) {
      button.type = "button";
      button.setAttribute("aria-label", `${button.textContent}: ${item.name}`);
      button.onclick = () => (name === "used" || confirm(`${texts.sure} ${item.name}`)) && trigger(name, { id: item.id });
    }
    const buttons = made("div", "learned-buttons");
    buttons.append(use);
    if (item.removable) buttons.append(remove);
    row.append(told, buttons);
    list.append(row);
  }
}
watch("value", show);
show();
