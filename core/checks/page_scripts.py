"""What is asked of a page, as JavaScript that runs in it; `page_visit` decodes the answers."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python

_AXE_SOURCE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")

READ_PAGE = """() => {
  const nodes = (selector) => Array.from(document.querySelectorAll(selector)).slice(0, 1000);
  const address = (node, name) => {
    const value = (node.getAttribute(name) || '').trim();
    try { return value ? new URL(value, document.baseURI).href.slice(0, 2048) : ''; }
    catch { return ''; }
  };
  const label = (node) => (node.textContent || node.getAttribute('aria-label') || '')
    .replace(/\\s+/g, ' ').trim().slice(0, 60);
  const all = (pairs) => pairs.flatMap(([selector, name]) =>
    nodes(selector).map((node) => address(node, name))).filter(Boolean);
  const sets = nodes('img[srcset], source[srcset]').flatMap((node) =>
    node.getAttribute('srcset').split(/,\\s+/).map((part) => part.trim().split(/\\s+/)[0]))
    .filter((part) => part && !part.startsWith('data:'))
    .flatMap((part) => {
      try { return [new URL(part, document.baseURI).href]; } catch { return []; }
    });
  const rel = (node) => (node.getAttribute('rel') || '').toLowerCase().split(/\\s+/);
  const sheets = nodes('link[href]');
  const loaded = ['stylesheet', 'manifest', 'preload', 'modulepreload'];
  const viewport = document.querySelector('meta[name="viewport" i]');
  return {
    url: location.href,
    title: document.title.trim(),
    lang: (document.documentElement.getAttribute('lang') || '').trim(),
    viewport: viewport ? (viewport.getAttribute('content') || '').trim() : '',
    links: nodes('a[href], area[href]')
      .map((node) => ({url: address(node, 'href'), label: label(node)})),
    assets: [...all([['img[src]', 'src'], ['script[src]', 'src'], ['iframe[src]', 'src'],
      ['source[src]', 'src'], ['video[src]', 'src'], ['video[poster]', 'poster'],
      ['audio[src]', 'src'], ['embed[src]', 'src'], ['object[data]', 'data']]), ...sets,
      ...sheets.filter((node) => rel(node).some((word) => loaded.includes(word)))
        .map((node) => address(node, 'href')).filter(Boolean)],
    icons: sheets.filter((node) => rel(node).some((word) => word.includes('icon')))
      .map((node) => address(node, 'href')).filter(Boolean),
    anchors: nodes('[id], a[name]').map((node) => node.id || node.getAttribute('name')),
  };
}"""

READ_WIDTH = """() => {
  const root = document.documentElement, width = root.clientWidth;
  const cut = [root, document.body].some((node) =>
    node && ['hidden', 'clip'].includes(getComputedStyle(node).overflowX));
  const name = (node) => node.tagName.toLowerCase() + (node.id ? '#' + node.id : '') +
    Array.from(node.classList).slice(0, 2).map((word) => '.' + word).join('');
  const wide = root.scrollWidth <= width ? [] :
    Array.from(document.querySelectorAll('body *')).slice(0, 5000)
      .filter((node) => node.getBoundingClientRect().right > width + 1).slice(0, 5).map(name);
  return {width, scroll_width: root.scrollWidth, cut, wide};
}"""

_RUN_AXE = """.run(document, {
  resultTypes: ['violations'],
  rules: {'document-title': {enabled: false}, 'html-has-lang': {enabled: false}},
}).then((result) => ({violations: result.violations.map((violation) => ({
  rule: violation.id,
  impact: violation.impact || 'minor',
  help: violation.help,
  count: violation.nodes.length,
  targets: violation.nodes.slice(0, 3).map((node) => String(node.target)),
}))}))"""

READ_AXE = f"() => {{ {_AXE_SOURCE}\n; return window.axe{_RUN_AXE}; }}"
"""Brings axe-core along; title and lang are cases of their own, so their rules are off."""
