"""The Kubernetes calls that decisions need, and no others."""
