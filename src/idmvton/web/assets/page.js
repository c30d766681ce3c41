// Light or dark: what the visitor chose last, else what the system prefers.
(() => {
  const chosen = () => localStorage.getItem("idmvton-theme");
  const apply = (dark) => document.body?.classList.toggle("dark", dark);
  const wanted = () => (chosen() ? chosen() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  window.idmvtonTheme = () => {
    const dark = !document.body.classList.contains("dark");
    localStorage.setItem("idmvton-theme", dark ? "dark" : "light");
    apply(dark);
  };
  const keep = () => {
    if (document.body && chosen() && document.body.classList.contains("dark") !== wanted()) apply(wanted());
  };
  document.addEventListener("DOMContentLoaded", () => {
    keep();
    new MutationObserver(keep).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
})();
