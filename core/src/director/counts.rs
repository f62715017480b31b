// SPDX-License-Identifier: GPL-2.0

//! What is counted of a backend: what went there, and what did not, by cause.
//!
//! The causes are the verdicts that end a packet whose backend is known, so a new verdict is a counter here, too. They are those
//! of [`Verdict`] and have their names. What all backends of all services have together is what the director counts of the
//! packets of services whose backend was known; a packet that ends before (a later fragment of which nobody knows the ports, a
//! table without a usable row) is no backend's. It holds from load to load as long as no backend leaves: its counters leave
//! with it.

use super::flows::Event;
use super::Verdict;
use crate::counter::Fate;

/// Position of the counter of packets that went there.
pub const PACKETS: usize = 0;
/// Position of the counter of their bytes, headers that the director put in front included.
pub const BYTES: usize = 1;
/// Position of the counter of flows that were given to it, and remembered.
pub const FLOWS: usize = 2;
/// Position of the counter of the first cause.
const CAUSES: usize = 3;

/// Backends that may have counters in one load: 8 MiB for each CPU.
pub const MAX_BACKENDS: usize = 131_072;

/// Counters of a backend.
pub const COUNT: usize = {
    let (mut count, mut at) = (CAUSES, 0);
    while at < Verdict::COUNT {
        if is_cause(Verdict::ALL[at]) {
            count += 1;
        }
        at += 1;
    }
    count
};

/// Their names, by their positions.
pub const NAMES: [&str; COUNT] = {
    let mut names = ["sent_packets"; COUNT];
    names[BYTES] = "sent_bytes";
    names[FLOWS] = Event::First.counter();
    let mut at = 0;
    while at < Verdict::COUNT {
        if is_cause(Verdict::ALL[at]) {
            names[PLACES[at]] = Verdict::ALL[at].counter();
        }
        at += 1;
    }
    names
};

/// What stands for no counter.
const NONE: usize = usize::MAX;

/// The position of the counter of each verdict.
const PLACES: [usize; Verdict::COUNT] = {
    let mut places = [NONE; Verdict::COUNT];
    let (mut next, mut at) = (CAUSES, 0);
    while at < Verdict::COUNT {
        if is_cause(Verdict::ALL[at]) {
            places[at] = next;
            next += 1;
        } else if matches!(Verdict::ALL[at].fate(), Fate::Send | Fate::Mark) {
            places[at] = PACKETS;
        }
        at += 1;
    }
    places
};

/// Whether a backend did not get a packet because of this.
const fn is_cause(verdict: Verdict) -> bool {
    // Where there is no hop there is no backend.
    matches!(verdict.fate(), Fate::Drop) && !matches!(verdict, Verdict::DroppedNoHop)
}

/// The position of the counter of a packet with this verdict, if it is counted: one that was left to the stack is not.
#[inline]
#[must_use]
pub fn place(verdict: Verdict) -> Option<usize> {
    let place = PLACES.get(verdict.index()).copied();
    place.filter(|place| *place != NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_verdict_has_its_counter() {
        for verdict in Verdict::ALL {
            let name = place(*verdict).map(|place| NAMES[place]);
            let expected = match verdict.fate() {
                Fate::Send | Fate::Mark => Some("sent_packets"),
                Fate::Pass => None,
                Fate::Drop if *verdict == Verdict::DroppedNoHop => None,
                Fate::Drop => Some(verdict.counter()),
            };
            assert_eq!(name, expected, "{verdict:?}");
        }
    }

    #[test]
    fn each_counter_has_a_name_of_its_own() {
        let names: HashSet<_> = NAMES.iter().collect();
        assert_eq!(names.len(), COUNT);
        assert_eq!(
            [PACKETS, BYTES, FLOWS].map(|place| NAMES[place]),
            ["sent_packets", "sent_bytes", "first_flow_packets"]
        );
        let drops = NAMES.iter().filter(|name| name.starts_with("dropped_"));
        assert_eq!(drops.count(), COUNT - CAUSES);
    }
}
