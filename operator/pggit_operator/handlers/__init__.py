"""When: the edge to kopf, and the queue."""
