"""Background work: RQ workers and the dashboard over their queues."""
