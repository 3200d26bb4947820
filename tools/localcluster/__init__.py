"""A real Kubernetes on this machine, for the demo, the tests and the end-to-end tests."""

from localcluster.cluster import Cluster
from localcluster.control_plane import ControlPlane
from localcluster.errors import ClusterError

__all__ = ["Cluster", "ClusterError", "ControlPlane"]
