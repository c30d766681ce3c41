// Runs when the page is there: gradio may run this before that or long after.
const idmvtonReady = (act) =>
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", act) : act();

// Light or dark: what the visitor chose last, else what the system prefers.
(() => {
  const chosen = () => localStorage.getItem("idmvton-theme");
  const apply = (dark) => document.body.classList.toggle("dark", dark);
  window.idmvtonTheme = () => {
    const dark = !document.body.classList.contains("dark");
    localStorage.setItem("idmvton-theme", dark ? "dark" : "light");
    apply(dark);
  };
  const keep = () => {
    const dark = chosen() === "dark";
    if (chosen() && document.body.classList.contains("dark") !== dark) apply(dark);
  };
  idmvtonReady(() => {
    keep();
    new MutationObserver(keep).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
})();

// What gradio leaves unsaid for screen readers: names of groups of choices; that icons are decoration.
(() => {
  const tell = () => {
    for (const icon of document.querySelectorAll("svg:not([aria-hidden])")) icon.setAttribute("aria-hidden", "true");
    for (const group of document.querySelectorAll("fieldset")) {
      const name = group.querySelector("[data-testid=block-info]")?.textContent.trim();
      if (name && group.getAttribute("aria-label") !== name) group.setAttribute("aria-label", name);
    }
  };
  let waits = false;
  const soon = () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      tell();
    }, 100);
  };
  idmvtonReady(() => {
    tell();
    new MutationObserver(soon).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
})();

// Copies a text that stands under its title; where the browser does not let a page copy, it is marked.
window.idmvtonCopy = async (button) => {
  const text = button.closest(".code").querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  } catch {
    getSelection().selectAllChildren(text);
  }
};
