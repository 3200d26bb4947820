"""The pgGit operator: PostgreSQL branches, commits and three-way merges as Kubernetes objects."""
