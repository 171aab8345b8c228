"""The library over HTTP: a REST API and the page that uses it, for one person or a few, behind a token.

Asynchronous endpoints hand all work to threads, in the order in which it is asked for. Files are named by ids, the
digests of their contents: no path from outside is opened.
"""
