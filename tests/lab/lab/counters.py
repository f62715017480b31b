# SPDX-License-Identifier: GPL-2.0
"""The counters of GLBREDIRECT on a proxy, which are exact.

    snapshot(proxy1, proxy2)                    expect_counters counts from here
    expect_counters(proxy1, accepted_syn=1)     since the last call exactly these went up, by exactly that much
    expect_counters(proxy1, accepted_syn=(1, 2))    ... by one or two

Names go without `_packets`. The total need not be named: it must be the sum of the verdicts.

A kernel sends a SYN, and its answer, again after a second, which no setting makes longer. On a slow machine it does so though
nothing is lost. What that adds is known from the kernels' own counters, and allowed.
"""

from lab import hosts
from lab.story import Failed, Hopeless, check
from lab.waiting import eventually

# What one SYN, or its answer, that is sent again adds at most: the SYN, an acknowledgement of each answer.
AGAIN = {"accepted_syn_packets": 1, "accepted_established_packets": 2}

# Counters that are of no verdict: they may be anything if they are not named.
OTHERS = ("forwarded_bytes", "ended_netns_lookups")


def is_other(name):
    """The counters of SYN/ACKs are such, too: a proxy that sets cookies has them (docs/cookie.md)."""
    return name in OTHERS or name.endswith("_answers")


# Host -> its counters when they were looked at last. A host has them from its first expect_counters on.
_before = {}


def counters(host):
    """The counters of a host."""
    lines = host.read("/proc/thread-self/net/glb_redirect").splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def snapshot(*hosts):
    for host in hosts:
        _before[host.name] = counters(host)


def forget():
    """The network goes, and the counters with it."""
    _before.clear()


def sent_again():
    """SYNs and answers that the kernels of all hosts sent again since the network was made."""
    again = 0
    for host in hosts.made:
        lines = host.read("/proc/thread-self/net/netstat").splitlines()
        names, values = [line.split() for line in lines if line.startswith("TcpExt:")]
        again += int(values[names.index("TCPSynRetrans")])
    return again


def range_of(want):
    """The least and the most of what is wanted: a number, or two."""
    return want if isinstance(want, tuple) else (want, want)


def words(wanted):
    """What is wanted, as the line of a check says it."""
    shown = {name: range_of(want) for name, want in wanted.items()}
    return " ".join("%s=+%s" % (name, low if low == high else "%d..%d" % (low, high)) for name, (low, high) in shown.items())


def _full(name):
    return name if is_other(name) or name.endswith("_packets") else name + "_packets"


def expect_counters(host, **wanted):
    """What is awaited may still have to come; what is too much already is not waited for."""
    before = _before.get(host.name, {})
    with check("counters of %s: %s" % (host, words(wanted))):
        eventually(_went_up, host, before, wanted)
    _before[host.name] = counters(host)


def _went_up(host, before, wanted):
    deltas = {name: value - before.get(name, 0) for name, value in counters(host).items()}
    total = deltas.pop("total_packets")
    verdicts = sum(delta for name, delta in deltas.items() if not is_other(name))
    wanted = {_full(name): range_of(want) for name, want in wanted.items()}
    if unknown := wanted.keys() - deltas.keys() - {"total_packets"}:
        raise Hopeless("there is no counter %s" % " ".join(sorted(unknown)))
    low, high = wanted.pop("total_packets", (total, total))
    faults, error = [], Failed
    if not low <= total <= high:
        faults.append("total_packets: +%d, not +%d..%d" % (total, low, high))
    if total != verdicts:
        faults.append("total +%d, verdicts +%d" % (total, verdicts))
    for name, delta in deltas.items():
        low, high = wanted.get(name, (delta, delta) if is_other(name) else (0, 0))
        if delta > high and name in AGAIN:
            high += AGAIN[name] * sent_again()
        if not low <= delta <= high:
            faults.append("%s: +%d, not +%d..%d" % (name, delta, low, high))
            if delta > high:
                error = Hopeless
    if faults:
        raise error("\n".join(faults))
