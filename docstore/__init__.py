"""The music, kept: projects, their documents, the journal of updates, snapshots.

Knows PostgreSQL and the bytes of Yjs; not sockets, requests or tokens. Tables are made by
`docstore/migrations` for the whole project.
"""
