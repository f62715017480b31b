// SPDX-License-Identifier: GPL-2.0

//! The verdicts about packets that leave by a device in the role geneve, which are also their counters.

use crate::counter::verdicts;

verdicts! {
    /// It left in the header of its flow.
    Returned: Send = "returned_packets",
    /// It is in such a header already.
    PassedGeneve: Pass = "passed_geneve_packets",
    /// No packet of a flow of its own: it is not IP, has a VLAN tag, whose device it belongs to, or its IP header is not found.
    PassedOther: Pass = "passed_other_packets",
    /// Its flow came without a header, or has been forgotten.
    PassedNoFlow: Pass = "passed_no_flow_packets",
    /// The same, and such packets are to be dropped.
    DroppedNoFlow: Drop = "dropped_no_flow_packets",
    /// No header is certain: flows of several endpoints have its addresses and ports, or may have.
    DroppedSeveral: Drop = "dropped_several_endpoints_packets",
    /// Another CPU was writing the entry of its flow, or one like it, for too long.
    DroppedBusy: Drop = "dropped_busy_packets",
    /// It does not fit the path with the header in front; its sender was told.
    DroppedTooBig: Drop = "dropped_too_big_packets",
    /// No route to the load balancer, or the queue of the device is full.
    DroppedNoRoute: Drop = "dropped_no_route_packets",
    /// An aggregate that nobody can take apart, where it has to be.
    DroppedMalformed: Drop = "dropped_malformed_packets",
    /// No memory for the header.
    DroppedNoMemory: Drop = "dropped_no_memory_packets",
}
