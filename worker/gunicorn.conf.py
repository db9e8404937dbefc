"""gunicorn's settings for the dashboard; where it listens is said on the command line."""

import os

from gunicorn.glogging import Logger

from imagestore.logs import formatter

worker_class = "gthread"
workers = 1
threads = 4

# nginx in front says who asks, and nothing else reaches this port.
forwarded_allow_ips = "*"

# The default creates a socket in the home directory.
control_socket_disable = True

# The heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


class Lines(Logger):
    """gunicorn's lines, in the form of ours. (With a logconfig_dict it would log each request, too.)"""

    def setup(self, cfg):
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(os.environ.get("LOG_FORMAT", "")))


logger_class = Lines
