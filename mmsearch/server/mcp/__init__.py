"""The Model Context Protocol over stdin and stdout, by which assistants search a library. It reads, and never writes.

JSON-RPC 2.0, a message a line. A file is named by its id, the digest of its content: no path is taken from outside.
"""
