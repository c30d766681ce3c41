"""Contrast, and the size of buttons on a telephone, read in the browser."""

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
_SMALL = """() => [...document.querySelectorAll('#run, .painter-tools button, #category label, [role=tab]')]
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
    assert visitor.window.evaluate(_SMALL) == []
    assert visitor.window.evaluate("document.documentElement.scrollWidth <= innerWidth")
