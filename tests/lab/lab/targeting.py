# SPDX-License-Identifier: GPL-2.0
"""glb-targets on a director, with one service `api`.

    daemon = Daemon(director, {"targets": directory})   what its configuration has more
    daemon.start()
    daemon.comes_to("both are active", one=(0, "active"), two=(1, "active"))    names, identifiers, states
    daemon.says("etcd is there again")                                  in its log
    daemon.ends(signal.SIGTERM)
"""

import json
import os

from lab.director import KEY, SEED
from lab.settings import VIP4, VIP6, work, work_json
from lab.story import check, holds, same
from lab.waiting import eventually

OFFSET, MOST = 5000, 4


class Daemon:
    def __init__(self, director, source):
        table = {
            "name": "api",
            "select": {"kind": "maglev"},
            "forward": {"kind": "mark", "offset": OFFSET},
            "flows": False,
            "hash_key": KEY,
            "seed": SEED,
            "binds": [{"ip": vip, "proto": "tcp", "port": 80} for vip in (VIP4, VIP6)],
        }
        self.director = director
        self.log = work("log-%s" % director)
        self.conf = work_json("targets-%s.conf" % director, {
            "forwarding_table": {"src": work_json("src.json", {"tables": [table]})},
            "state": work("identifiers-%s.json" % director),
            "services": [{"name": "api", "max_targets": MOST}],
            **source,
        })
        self.program = None

    def start(self):
        out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.program = self.director.spawn("glb-targets --config", self.conf, stdout=out, stderr=out)
        finally:
            os.close(out)

    def ends(self, number):
        self.program.signal(number)
        return self.program.wait()

    def said(self):
        with open(self.log) as file:
            return file.read()

    def says(self, text):
        with check("it says: " + text):
            eventually(lambda: holds(text in self.said(), "the log is\n%s" % self.said()))

    def health(self):
        _, page = self.director.said("curl -s --max-time 60 http://127.0.0.1:19524/health", errors=False)
        holds(page.startswith("{"), "there is a page: %r" % page)
        return json.loads(page)

    def states(self):
        """The names of targets with their identifiers and states."""
        return {one["name"]: (one["id"], one["state"]) for one in self.health()["services"][0]["targets"]}

    def comes_to(self, what, **wanted):
        """The targets are these in the end."""
        with check(what):
            eventually(lambda: same(wanted, self.states()))

    def metric(self, sample):
        page = self.director.output("curl -s --max-time 60 http://127.0.0.1:19524/metrics")
        values = [line.split()[-1] for line in page.splitlines() if line.startswith(sample + " ")]
        same(1, len(values))
        return float(values[0])
