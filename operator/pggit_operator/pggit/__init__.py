"""The Python face of the SQL core: connections, errors, and one module of typed functions per domain."""
