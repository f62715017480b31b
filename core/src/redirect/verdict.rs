// SPDX-License-Identifier: GPL-2.0

//! The verdicts of GLBREDIRECT, which are also its counters.

use crate::counter::verdicts;

verdicts! {
    /// TCP with SYN: a new connection belongs to the first proxy that sees it; with `--syn-listener`, to the first one where a
    /// socket listens for it.
    AcceptedSyn: Pass = "accepted_syn_packets",
    /// TCP, and no hop is left: this proxy answers (with a reset, if the connection is nowhere).
    AcceptedLastResort: Pass = "accepted_last_resort_packets",
    /// An established, TIME_WAIT or request socket matches.
    AcceptedEstablished: Pass = "accepted_established_packets",
    /// The acknowledgement of a SYN cookie that this proxy sent.
    AcceptedSynCookie: Pass = "accepted_syn_cookie_packets",
    /// The next hop is this proxy.
    ForwardedToSelf: Pass = "forwarded_to_self_packets",
    /// Passed on to the next hop, and neither of the two below.
    ForwardedToAlternate: Send = "forwarded_to_alternate_packets",
    /// The inner packet is UDP, and `--udp` is not asked for, or no hop is left: an unconnected socket may have it.
    AcceptedUdp: Pass = "accepted_udp_packets",
    /// The inner packet is ICMP, and not an error about a TCP connection, nor with `--udp` about a UDP one.
    AcceptedIcmp: Pass = "accepted_icmp_packets",
    /// A later fragment of an inner packet whose first fragment was not passed on: of TCP, and with `--udp` of UDP.
    AcceptedFragment: Pass = "accepted_fragment_packets",
    /// With `--udp`: a connected UDP socket matches.
    AcceptedUdpConnected: Pass = "accepted_udp_connected_packets",
    /// With `--syn-listener`: TCP with SYN, passed on to the next hop since no socket listens for it.
    ForwardedSyn: Send = "forwarded_syn_packets",
    /// With `--udp`: UDP, or an ICMP error about it, passed on to the next hop since no connected socket matches.
    ForwardedUdp: Send = "forwarded_udp_packets",
    /// With `--netns`: a socket of another network namespace matches.
    AcceptedNetns: Pass = "accepted_netns_packets",
    /// With `--conntrack`: the connection tracking has the connection.
    AcceptedConntrack: Pass = "accepted_conntrack_packets",
    /// A header reaches past the end of the packet.
    DroppedTruncated: Drop = "dropped_truncated_packets",
    /// The outer packet is not whole UDP for this machine alone: a fragment, another protocol, wrong lengths; to be passed on, but
    /// sent to a broadcast or multicast address, or in a frame to many.
    DroppedOuter: Drop = "dropped_outer_packets",
    /// Not GUE as directors of this fleet send it.
    DroppedGue: Drop = "dropped_gue_packets",
    /// The inner packet is neither IPv4 nor IPv6, or its headers contradict themselves.
    DroppedInner: Drop = "dropped_inner_packets",
    /// The inner packet is neither TCP, UDP nor ICMP.
    DroppedInnerProtocol: Drop = "dropped_inner_protocol_packets",
    /// The next hop is not among the allowed prefixes.
    DroppedHopNotAllowed: Drop = "dropped_hop_not_allowed_packets",
    /// There is no route to the next hop.
    DroppedNoRoute: Drop = "dropped_no_route_packets",
    /// The packet does not fit the path to the next hop.
    DroppedTooBig: Drop = "dropped_too_big_packets",
    /// Several UDP datagrams merged into one buffer, which can have different next hops.
    DroppedUdpGso: Drop = "dropped_udp_gso_packets",
    /// No memory for a writable copy of the headers, or the headers could not be made linear.
    DroppedNoMemory: Drop = "dropped_no_memory_packets",
}

impl Verdict {
    /// Name of the counter of bytes passed on, outer IP header included.
    pub const FORWARDED_BYTES: &'static str = "forwarded_bytes";

    /// Name of the counter of namespaces that packets asked, and that had ended.
    pub const ENDED_NETNS: &'static str = "ended_netns_lookups";

    /// The counters that the deployed module has, in its order behind [`Self::TOTAL`]: the first of
    /// [`Self::ALL`].
    pub const DEPLOYED: usize = 6;
}

#[cfg(test)]
mod tests {
    use super::Verdict;
    use crate::counter::Fate;

    #[test]
    fn what_drops_is_called_so() {
        for verdict in Verdict::ALL {
            assert_eq!(
                verdict.fate() == Fate::Drop,
                verdict.counter().starts_with("dropped_")
            );
        }
    }
}
