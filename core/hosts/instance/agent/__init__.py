"""The agent of a site's instance: standard library only, Python 3.9 and later.

It is shipped as one file (a zip that Python runs), so its modules import each other relatively and
nothing of the product. Each command ends with one JSON document on the last line of its output.
"""
