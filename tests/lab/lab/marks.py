# SPDX-License-Identifier: GPL-2.0
"""A director whose packets get marks, which rules and routes lead to proxies.

    marks = Marks(client, director, (proxy1, proxy2))
    marks.make()                                        hosts, addresses, neighbours; the director forwards
    marks.lead({5000: proxy1, 5001: proxy2})            packets with these marks go there from here on
    marks.goes("a SYN", packet, proxy1)                 it reaches this host as it came, one hop older, and no other one
    marks.sent                                          (packets, bytes) that went so
"""

from lab.captures import nothing, recv, send
from lab.hosts import make
from lab.settings import VIP4, VIP6
from lab.story import check, same


class Marks:
    def __init__(self, client, director, proxies):
        self.client, self.director, self.proxies = client, director, proxies
        self.sent = (0, 0)

    def make(self):
        director = self.director
        make(self.client, director, *self.proxies)
        for host in self.proxies:
            host.ip("addr add %s/32 dev lo\naddr add %s/128 dev lo nodad" % (VIP4, VIP6))
        for name in ("ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1",
                     "ipv4.conf.all.send_redirects=0", "ipv4.conf.eth0.send_redirects=0"):
            director.run("sysctl -qw net." + name)
        # Without a mark nothing goes on: each proxy has the VIPs, and would answer for them on the link.
        director.ip("route add blackhole %s\nroute add blackhole %s" % (VIP4, VIP6))
        director.ip("".join("neigh replace %s lladdr %s dev eth0 nud permanent\n" % (address, host.mac) for host in self.proxies
                            for address in (host.ipv4, host.ipv6)))

    def lead(self, hosts):
        wrong = []
        for mark, host in hosts.items():
            for family, vip, via in (("-4", VIP4, host.ipv4), ("-6", VIP6, host.ipv6)):
                self.director.run("ip %s route replace %s via %s dev eth0 onlink table %d" % (family, vip, via, mark))
                if self.director.status("ip %s rule add pref 100 fwmark %d lookup %d" % (family, mark, mark)) not in (0, 2):
                    wrong.append(mark)
        same([], wrong)

    def goes(self, what, packet, host):
        """Packet: as it is sent, and as it arrives."""
        before, after = packet
        send(self.client, self.director, before)
        with check("%s: it reaches %s as it came, one hop older" % (what, host)):
            recv(host, lambda got: got == after)
        for other in self.proxies:
            if other is not host:
                with check("%s: and %s not" % (what, other)):
                    nothing(other, lambda got: got == after)
        self.sent = (self.sent[0] + 1, self.sent[1] + len(before))

    def stays(self, what, packet):
        """It reaches no proxy."""
        before, after = packet
        send(self.client, self.director, before)
        for host in self.proxies:
            with check("%s: %s does not get it" % (what, host)):
                nothing(host, lambda got: got == after)
