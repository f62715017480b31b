# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Chains of proxies, for the redirect scenarios. Source it after redirect.sh.

# chain N: the client, the director and proxies hop0 to hopN, which are 10.1.0.100 + n and fd01::100 + n.
chain() {
    local n
    redirect_clients
    for ((n = 0; n <= $1; n++)); do
        proxy "hop$n" "10.1.0.$((100 + n))" "fd01::$((100 + n))"
        unhurried "hop$n"
    done
}
# The same for lines of Python: HOPS(n) are the addresses of the first n + 1 proxies.
# shellcheck disable=SC2154 # From redirect.sh.
hops="$redirect_names
HOPS = lambda n: [('10.1.0.%d' if o == 4 else 'fd01::%d') % (100 + k) for k in range(n + 1)]
first_send = lambda n, x: send('director', 'hop0', tunnel(HOPS(n)[0], x, HOPS(n)[1:]))
of_path = lambda n, x: [tunnel(HOPS(n)[k], x, HOPS(n)[1:], index=k, src=HOPS(n)[k - 1] if k else None) for k in range(n + 1)]"

# walk N HERE: an ACK and a real connection through hop0 to hopN; the connection is at HERE.
walk() {
    local last=$1 here=$2 n
    quietly_wire "$hops
reset()
steer(*HOPS($last))"
    for ((n = 0; n <= last; n++)); do snapshot "hop$n"; done
    wire "x = of(tcp(port(), 80, 'A')); first_send($last, x); w = of_path($last, x)"
    check "hop0 to hop$last each get the packet, one index on" \
        wire "[expect('hop%d' % k, w[k]) for k in range($last + 1)]"
    for ((n = 0; n < last; n++)); do
        expect_counters "hop$n" forwarded_to_alternate=+1 forwarded_bytes=+"$(bytes_of "len(w[0])")"
    done
    expect_counters "hop$last" accepted_last_resort=+1
    # The SYN of a real connection goes straight to where the connection shall be, the rest starts at hop0.
    wire "l = listener('hop$here', VIP[i], 80); steer(*HOPS($last)[$here:]); c = connect('client', CLIENT[i], VIP[i], 80)
        s = accepted(l); steer(*HOPS($last)); says(c, s, b'to the proxy'); says(s, c, b'to the client'); c.close()"
    check "hop$here has the connection, and its end" wire "holds(pump(lambda: eof(s)))"
    for ((n = 0; n < here; n++)); do
        expect_counters "hop$n" forwarded_to_alternate=+2..6
    done
    expect_counters "hop$here" accepted_syn=+1 accepted_established=+3..7
    for ((n = here + 1; n <= last; n++)); do expect_counters "hop$n"; done
    quietly_wire "reset()"
}
