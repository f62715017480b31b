// SPDX-License-Identifier: GPL-2.0

//! The verdicts about Geneve packets, which are also their counters.

use crate::counter::verdicts;

verdicts! {
    /// Taken out of its header.
    Accepted: Pass = "accepted_packets",
    /// Not a whole UDP packet to the port, or one whose outer IP header the stack does not accept: left to the stack.
    PassedNotGeneve: Pass = "passed_not_geneve_packets",
    /// The sender is not one of the allowed ones.
    DroppedSender: Drop = "dropped_sender_packets",
    /// A header reaches past the end of the packet.
    DroppedTruncated: Drop = "dropped_truncated_packets",
    /// The outer UDP checksum is wrong.
    DroppedChecksum: Drop = "dropped_checksum_packets",
    /// Another version of Geneve than 0.
    DroppedVersion: Drop = "dropped_version_packets",
    /// A control message (the O bit), whose payload must not be forwarded.
    DroppedControl: Drop = "dropped_control_packets",
    /// The payload is neither IPv4 nor IPv6.
    DroppedProtocol: Drop = "dropped_protocol_packets",
    /// An option reaches past the end of the options; one of the three has another length than it must have, or occurs twice.
    DroppedOptions: Drop = "dropped_options_packets",
    /// An option is critical, and not known here.
    DroppedCriticalOption: Drop = "dropped_critical_option_packets",
    /// One of the three options of the class is missing.
    DroppedMissingOption: Drop = "dropped_missing_option_packets",
    /// The inner packet is not of the family that the header names, or its IP header contradicts itself or the packet's length. In the
    /// module also one that is Geneve again, and says that it is from this machine.
    DroppedInner: Drop = "dropped_inner_packets",
    /// A router has marked the outer header for congestion, and the ends of the inner connection do not understand the mark.
    DroppedEcn: Drop = "dropped_ecn_packets",
    /// Of the module alone, as all that follow: a frame that is not for this machine.
    PassedOtherHost: Pass = "passed_other_host_packets",
    /// Nothing on this machine wants the inner packet, and it is not to be passed on.
    DroppedNoSocket: Drop = "dropped_no_socket_packets",
    /// The flow cache has no room for its flow, or an entry none for the options of its header: what answers it would have no way back.
    DroppedNoRoom: Drop = "dropped_no_room_packets",
    /// Several packets, each in a header of its own, that a device has merged into one (rx-udp-gro-forwarding); or an aggregate
    /// that is longer than its UDP header says.
    DroppedAggregate: Drop = "dropped_aggregate_packets",
    /// No memory for a private copy of the headers.
    DroppedNoMemory: Drop = "dropped_no_memory_packets",
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
