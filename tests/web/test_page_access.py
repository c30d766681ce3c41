"""Contrast, names for screen readers, the way of the keyboard, and the size of buttons on a telephone."""

import pytest
from page_visitor import PERSON, SHIRT

_CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => c.slice(0, 3).reduce((sum, v, i) => sum + linear(v / 255) * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > .95) return colour;
      if (colour[3] > .05) return null; // half transparent: over a picture
    }
    return [255, 255, 255];
  };
  const weak = [];
  const walk = document.createTreeWalker(document.querySelector('.gradio-container'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest('style, script, :disabled, [aria-hidden=true]') || !element.getClientRects().length) continue;
    const back = behind(element);
    if (!back) continue;
    const style = getComputedStyle(element), [a, b] = [light(rgb(style.color)), light(back)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    const ratio = (a + .05) / (b + .05);
    if (ratio < (large ? 3 : 4.5)) weak.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""
_SMALL = """() => [...document.querySelectorAll('button.primary, .painter-tools button, .segments label, [role=tab]')]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height)
  .filter((each) => each.getBoundingClientRect().height < 40).map((each) => each.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_buttons_are_large_enough_for_a_thumb(visitors, scheme):
    visitor = visitors(390, color_scheme=scheme)
    for role, path in (("person", PERSON), ("garment", SHIRT)):
        assert visitor.window.evaluate(_CONTRAST) == []
        visitor.put(role, path)
    visitor.mask_share()
    assert visitor.window.evaluate(_CONTRAST) == []
    for tab, button in TABS.items():
        visitor.tab(tab)
        visitor.see(button)
        assert (tab, visitor.window.evaluate(_CONTRAST)) == (tab, [])
        assert (tab, visitor.window.evaluate(_SMALL)) == (tab, [])
        assert (tab, nameless(visitor)) == (tab, [])
        assert visitor.window.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        assert reaches(visitor, tab, button), tab


TABS = {"Try on": "#run", "Outfit": "#outfit-run", "Many at once": "#many-run", "Learn a garment": "#custom-run"}
MOST = 60  # places on a tab


def reaches(visitor, tab, query):
    """Whether the Tab key comes from the name of a tab to a place in it."""
    visitor.window.get_by_role("tab", name=tab).focus()
    for _ in range(MOST):
        visitor.window.keyboard.press("Tab")
        if visitor.window.evaluate("query => !!document.activeElement.closest(query)", query):
            return True
    return False


def nameless(visitor):
    """What a screen reader would announce without a name: the browser's own account of the page."""
    visitor.window.wait_for_function("!document.querySelector('svg:not([aria-hidden])')")  # the page marks icons late
    session = visitor.context.new_cdp_session(visitor.window)
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in NAMED or node.get("name", {}).get("value", "").strip():
            continue
        element = session.send("DOM.resolveNode", {"backendNodeId": node["backendDOMNodeId"]})["object"]["objectId"]
        told = "function () { return this.outerHTML.slice(0, 160) }"
        about = session.send("Runtime.callFunctionOn", {"objectId": element, "functionDeclaration": told})
        found.append(f"{role}: {about['result']['value']}")
    return found


NAMED = {"button", "checkbox", "combobox", "group", "image", "link", "radio", "radiogroup", "slider", "spinbutton",
         "tab", "textbox", "toolbar"}  # fmt: skip


def stops(visitor, marks):
    """Which of these places the Tab key reaches, in its order, from the choice of the language to the page's end."""
    visitor.window.locator("#language input").focus()
    inside = "query => document.activeElement.closest(query)?.id"
    seen = []
    while "erase" not in seen and visitor.window.evaluate("document.activeElement !== document.body"):
        visitor.window.keyboard.press("Tab")
        place = visitor.window.evaluate(inside, ", ".join(f"#{mark}" for mark in marks))
        if place and place not in seen:
            seen.append(place)
    return seen


START = ["theme", "person-upload", "person-examples", "person-studio", "category", "garment-upload",
         "garment-examples", "garment-studio", "run", "options", "erase"]  # fmt: skip
DRESSED = ["theme", "person-change", "painter", "category", "mask-tools", "closer", "garment-change", "caption", "run",
           "view", "slider", "png", "jpeg", "copy", "options", "erase"]  # fmt: skip


@pytest.mark.parametrize("width", [390, 1440])
def test_the_keyboard_reaches_every_place_in_the_order_of_the_page(visitors, width):
    visitor = visitors(width)
    assert nameless(visitor) == []
    assert stops(visitor, START) == START


def test_the_keyboard_reaches_what_a_result_brings(at_home):
    at_home.run()
    assert nameless(at_home) == []
    assert stops(at_home, DRESSED) == DRESSED


def test_a_garment_is_tried_on_without_a_mouse(visitors):
    visitor = visitors()
    for place in ("person", "garment"):
        visitor.window.locator(f"#{place}-examples .strip-item").first.focus()
        visitor.window.keyboard.press("Enter")
        visitor.see("#painter .painter-photo" if place == "person" else "#garment-picture img")
    visitor.window.locator("#run").focus()
    visitor.window.keyboard.press("Enter")
    visitor.see("#slider img")
