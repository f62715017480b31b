// SPDX-License-Identifier: GPL-2.0

//! The verdicts of the director, which are also its counters.

use crate::counter::verdicts;

verdicts! {
    /// TCP or UDP to a bind, or another protocol to a bind that takes all, sent to the row's first hop.
    Encapsulated: Send = "encapsulated_packets",
    /// An ICMP error about a packet of a bind, sent where the flow's packets go.
    EncapsulatedIcmpError: Send = "encapsulated_icmp_error_packets",
    /// An echo request to a bound address.
    EncapsulatedEcho: Send = "encapsulated_echo_packets",
    /// A later fragment, sent where its first fragment went, or by its addresses.
    EncapsulatedFragment: Send = "encapsulated_fragment_packets",
    /// To a table whose packets get a mark: it got that of its backend, and goes on up the stack.
    Marked: Mark = "marked_packets",
    /// Neither TCP, UDP nor an ICMP message that concerns a flow, and no bind takes all protocols there; or with a header that
    /// is wrong or names a way to take (source routing): left to the rest of the stack.
    PassedUnknownFormat: Pass = "passed_unknown_format_packets",
    /// No bind of a loaded table matches: left to the rest of the stack.
    PassedNoMatchingBind: Pass = "passed_no_matching_bind_packets",
    /// An echo request to a bound address, while forwarding them is switched off.
    PassedEcho: Pass = "passed_echo_packets",
    /// In a frame for another machine, for many or for all, which a promiscuous device takes in: left to the rest of the stack.
    PassedOtherHost: Pass = "passed_other_host_packets",
    /// From an address that no client can have (loopback, multicast, broadcast, unspecified): left to the rest of the stack,
    /// which drops and counts it.
    PassedMartian: Pass = "passed_martian_packets",
    /// A packet that a forward without a tunnel would send on, and whose TTL or hop limit ends here: left to the rest of the
    /// stack, which answers it as a router does.
    PassedTtl: Pass = "passed_ttl_packets",
    /// A packet that a forward without a tunnel would send on, of a protocol whose checksum or signature covers the addresses and
    /// is not updated (AH, HIP; over IPv6 OSPF, PIM, VRRP, Mobility): left to the rest of the stack.
    PassedCovered: Pass = "passed_covered_packets",
    /// A later fragment whose first fragment was not seen, with a hash that needs ports; or, for a forward without a tunnel, a
    /// first fragment that is too short for its own checksum.
    DroppedFragment: Drop = "dropped_fragment_packets",
    /// The table has no usable row, or names a hop that there is none of.
    DroppedNoHop: Drop = "dropped_no_hop_packets",
    /// There is no route to the first hop or no neighbour, or the device's queue is full.
    DroppedNoRoute: Drop = "dropped_no_route_packets",
    /// Too long for the path after encapsulation.
    DroppedTooBig: Drop = "dropped_too_big_packets",
    /// An aggregate that nobody can take apart: merged by a device for this machine alone (LRO), or with headers that contradict
    /// its kind.
    DroppedLro: Drop = "dropped_lro_packets",
    /// No memory for the headers.
    DroppedNoMemory: Drop = "dropped_no_memory_packets",
    /// An answer of a backend to which addresses are translated, sent to its client with the VIP as its source.
    Returned: Send = "returned_packets",
    /// An ICMP error about a packet to such a backend, sent to the client that it concerns.
    ReturnedIcmpError: Send = "returned_icmp_error_packets",
    /// An echo reply of such a backend.
    ReturnedEcho: Send = "returned_echo_packets",
    /// A later fragment of such an answer.
    ReturnedFragment: Send = "returned_fragment_packets",
    /// Came in by a device with the role return, and is the answer of no service: left to the rest of the stack.
    PassedNoService: Pass = "passed_no_service_packets",
    /// An answer to this machine itself, as to a health check of a backend's own address: left to the rest of the stack.
    PassedAnswerHere: Pass = "passed_answer_here_packets",
}

impl Verdict {
    /// Name of the counter of bytes sent, outer IP header included.
    pub const ENCAPSULATED_BYTES: &'static str = "encapsulated_bytes";
    /// Name of the counter of clients that were told what fits, by ICMP.
    pub const TOO_BIG_SENT: &'static str = "icmp_too_big_sent";
    /// Name of the counter of TCP packets that did not fit and were cut into shorter ones.
    pub const SEGMENTED: &'static str = "segmented_tcp";
    /// Name of the counter of fragments sent in place of packets that did not fit.
    pub const FRAGMENTS_SENT: &'static str = "fragments_sent";
    /// Name of the counter of bytes sent to clients, IP header included.
    pub const RETURNED_BYTES: &'static str = "returned_bytes";
}
