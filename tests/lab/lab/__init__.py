# SPDX-License-Identifier: GPL-2.0
"""What the scenarios of the lab share (tests/README.md shows one). Each file says what it has:

    run.py          runs the tests of a scenario: setup(), test_NAME(), main()
    story.py        telling: about, check, context, say; same and holds, which fail
    waiting.py      eventually: what must come
    hosts.py        hosts and the switch between them: make, .ip, .run, .output, .spawn
    programs.py     programs that run there
    packets.py      making packets, byte for byte
    captures.py     sending and capturing them: send, recv, expect, nothing
    sockets.py      real sockets on the hosts
    steering.py     a director in user space, for scenarios of the proxies
    ways.py         two proxies, and packets to them in all families
    proxies.py      hosts with GUE, the VIPs and the rule GLBREDIRECT
    pods.py         namespaces behind a host, where its programs are
    counters.py     the counters of GLBREDIRECT
    director.py     the kernel's director: tables, counters
    netlink.py      the netlink family of a director that knows nothing yet: tables, status, events, what is refused
    memory.py       whether a test left memory or messages of the kernel behind
    dumps.py        tcpdump
    agree.py        what the director sends, beside what `glbctl encap` says
    shapes.py       packets of every shape through the director
    trail.py        where packets were seen last
    transfers.py    real connections through the director, with the aggregates that devices make of them
    web.py          nginx on a host, and many connections to it
    testdev.py      a network device on which packets of any shape come in
    traffic.py      the loop in which everything waits
    namespaces.py   network namespaces
    settings.py     what the environment says: LAB_HANG, LAB_STORY, LAB_MTU

No test depends on how fast the machine is. What is awaited is a condition, and what ends a wait is that nothing goes on any more:
LAB_HANG seconds without anything new for a step, five times as many for a test. `tests/run --busy 2` shows it.

Python takes long to start in the guest, so a file is one process, and starts without `site` (#!/usr/bin/python3 -SE).
"""
