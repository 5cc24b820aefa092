"""The 404 page of a site that has none of its own."""

from __future__ import annotations

NOT_FOUND_PATH = "404.html"
NOT_FOUND_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Page not found</title>
<style>
body { margin: 0; min-height: 100vh; display: grid; place-content: center; padding: 2rem;
  box-sizing: border-box; font: 1.1rem/1.6 system-ui, sans-serif; color: #1c1c1e;
  background: #fafafa; text-align: center }
a { color: #0b57d0 }
</style>
</head>
<body>
<main>
<h1>Page not found</h1>
<p>There is no page at this address.</p>
<p><a href="/">Go to the home page</a></p>
</main>
</body>
</html>
"""
