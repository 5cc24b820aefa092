"""From what a visit showed to test cases: expected, got, page. Nothing here touches a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from core.checks.cases import Case, Outcome, Remark
from core.checks.page_visit import ConsoleError, Violation, Visit
from core.checks.web import origin_of

KINDS = (
    "answers",
    "title",
    "lang",
    "viewport",
    "links",
    "assets",
    "console",
    "phone",
    "accessibility",
)
_SEVERE = frozenset({"serious", "critical"})
_SHOWN = 3


def case_name(kind: str, url: str) -> str:
    """Such as `links: /menu.html`."""
    return f"{kind}: {path_of(url)}"


def path_of(url: str) -> str:
    """Path and query, as they are shown."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.path or '/'}{query}"[:200]


def judge_answer(visit: Visit) -> Case:
    """Whether an address of the site gave a page at all."""
    name = case_name("answers", visit.url)
    if visit.is_page:
        return Case(name=name)
    if visit.fault:
        got = visit.fault
    elif visit.status_code is None or visit.status_code < 400:
        got = f"no page but {visit.content_type or 'nothing of a known type'}"
    else:
        got = f"status {visit.status_code}"
    return _failed(name, "a page that answers 200", [got], visit)


def judge_page(visit: Visit, statuses: Mapping[str, int | str]) -> list[Case]:
    """Every case of a page that was read.

    Args:
        visit: With a reading.
        statuses: What each internal address answered: a status, or the reason for none.
    """
    return [
        judge_answer(visit),
        _head_case(visit, "title", "a title"),
        _head_case(visit, "lang", "a lang attribute on <html>"),
        _head_case(visit, "viewport", "a <meta name=viewport>"),
        _links_case(visit, statuses),
        _assets_case(visit, statuses),
        _console_case(visit),
        _phone_case(visit),
        _accessibility_case(visit),
    ]


def remarks(visit: Visit, anchors: Mapping[str, Sequence[str]]) -> Iterator[Remark]:
    """What is worth saying of a page but fails nothing. `anchors` holds each read page's ids."""
    for violation in visit.violations:
        if violation.impact not in _SEVERE:
            yield Remark(name=case_name("accessibility", visit.url), message=_finding(violation))
    phone = visit.phone
    if phone and phone.cut and phone.scroll_width > phone.width:
        text = f"{', '.join(phone.wide) or 'something'} is cut off at {phone.width} pixels"
        yield Remark(name=case_name("phone", visit.url), message=text)
    for link in visit.reading.links if visit.reading else ():
        target, _, fragment = link.url.partition("#")
        if _is_anchor(fragment) and target in anchors and unquote(fragment) not in anchors[target]:
            text = f"{link.label or 'a link'}: nothing on {path_of(target)} is called #{fragment}"
            yield Remark(name=case_name("links", visit.url), message=text[:300])


def _is_anchor(fragment: str) -> bool:
    """Routers of one-page applications use fragments such as #/menu for themselves."""
    return bool(fragment) and fragment.lower() != "top" and fragment[0] not in "/!:"


def _head_case(visit: Visit, kind: str, expected: str) -> Case:
    name = case_name(kind, visit.url)
    value = getattr(visit.reading, kind)
    return Case(name=name) if value else _failed(name, expected, ["none"], visit)


def _links_case(visit: Visit, statuses: Mapping[str, int | str]) -> Case:
    broken = []
    for link in visit.reading.links if visit.reading else ():
        status = statuses.get(link.url.partition("#")[0])
        if _is_bad(status):
            broken.append(f"{status} for {path_of(link.url)} ({link.label or 'no text'})")
    name = case_name("links", visit.url)
    return _verdict(name, "every internal link to answer", broken, visit)


def _assets_case(visit: Visit, statuses: Mapping[str, int | str]) -> Case:
    icons = visit.reading.icons if visit.reading else []
    broken = {
        request.url: f"{request.reason} for {_shown(request.url, visit)}"
        for request in visit.failed
        if not is_icon(request.url, icons) and request.url != visit.url
    }
    for asset in visit.reading.assets if visit.reading else ():
        status = statuses.get(asset.partition("#")[0])
        if _is_bad(status) and asset not in broken:
            broken[asset] = f"{status} for {_shown(asset, visit)}"
    name = case_name("assets", visit.url)
    return _verdict(name, "every file of the page to answer", list(broken.values()), visit)


def _console_case(visit: Visit) -> Case:
    icons = visit.reading.icons if visit.reading else []
    known = {request.url for request in visit.failed}
    errors = [error.text for error in visit.console if not _is_told(error, known, icons)]
    name = case_name("console", visit.url)
    return _verdict(name, "no error in the console", errors, visit)


def _is_told(error: ConsoleError, known: set[str], icons: Sequence[str]) -> bool:
    """A missing file also shows in the console: it is the assets' case, or an icon's."""
    if not error.text.startswith("Failed to load resource"):
        return False
    return error.source in known or is_icon(error.source, icons)


def _phone_case(visit: Visit) -> Case:
    name = case_name("phone", visit.url)
    phone = visit.phone
    if phone is None or phone.cut or phone.scroll_width <= phone.width:
        return Case(name=name)
    got = f"{phone.scroll_width} pixels ({', '.join(phone.wide) or 'unknown element'})"
    return _failed(name, f"no sideways scroll at {phone.width} pixels", [got], visit)


def _accessibility_case(visit: Visit) -> Case:
    found = [_finding(item) for item in visit.violations if item.impact in _SEVERE]
    name = case_name("accessibility", visit.url)
    return _verdict(name, "no serious accessibility fault", found, visit)


def _finding(violation: Violation) -> str:
    where = ", ".join(violation.targets)[:200]
    return f"{violation.rule} ({violation.impact}, {violation.count}x) on {where}: {violation.help}"


def is_icon(url: str, icons: Sequence[str]) -> bool:
    """A site without a favicon is a whole site."""
    path = urlsplit(url).path
    return url in icons or path.endswith("/favicon.ico") or "/apple-touch-icon" in path


def _is_bad(status: int | str | None) -> bool:
    return isinstance(status, str) or (status is not None and status >= 400)


def _shown(url: str, visit: Visit) -> str:
    return path_of(url) if origin_of(url) == origin_of(visit.url) else url[:200]


def _verdict(name: str, expected: str, faults: Sequence[str], visit: Visit) -> Case:
    return _failed(name, expected, faults, visit) if faults else Case(name=name)


def _failed(name: str, expected: str, faults: Sequence[str], visit: Visit) -> Case:
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    got = "; ".join(fault.replace("\n", " ")[:300] for fault in faults[:_SHOWN])
    return Case(
        name=name,
        outcome=Outcome.FAILED,
        message=f"expected {expected}, got {got}{more}; page {path_of(visit.url)}",
        log="\n".join([f"page: {visit.url}", f"expected: {expected}", *faults])[:8000],
    )
