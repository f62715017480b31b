# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What all web servers of the lab have in common.

# nginx_conf HOST PREFIX: the configuration of a server for thousands of connections, which names HOST in its answers and
# keeps its own files at PREFIX.pid and PREFIX.log. Standard input is what only this server has: lines of `server {}`.
nginx_conf() {
    cat <<END
daemon off;
master_process off;
pid $2.pid;
error_log $2.log warn;
worker_rlimit_nofile 16384;
# All that wait are accepted at once. By default it is one in each round of events, and with hundreds of connections a round
# takes a busy machine seconds: the last of a burst of 50 waits for minutes.
events { worker_connections 8192; multi_accept on; }
http {
    access_log off;
    sendfile on;
    keepalive_requests 100000;
    # A machine may stand still for minutes, and its clock then jumps: no client is given up for that.
    keepalive_timeout 1d;
    client_header_timeout 1d;
    send_timeout 1d;
    add_header X-Proxy $1;
    server {
        listen 80 backlog=4096;
$(cat)
    }
}
END
}
