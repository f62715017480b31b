// SPDX-License-Identifier: GPL-2.0

//! What becomes of a SYN/ACK that a server sends: the offset of its connection is set here, once, before the client has seen a
//! timestamp. Nothing of the connection is touched afterwards.

use super::options::Found;

/// How far an offset may be from what it should be by now, in milliseconds, and is left as it is. The clock of real time and the
/// one that counts from the boot are read one after the other, and only together do they make an offset: those of two moments
/// differ by one. What is taken here is missing from the guard, of which it is a thousandth.
const NEAR: u32 = 64;

/// What the kernel knows of the connection that a SYN/ACK opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Whether both ends use timestamps.
    pub timestamps: bool,
    /// Whether this end counts microseconds.
    pub microseconds: bool,
    /// The offset of now.
    pub offset: u32,
    /// TSval of the first SYN/ACK.
    pub first: u32,
}

/// What is to be done with a SYN/ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The offset of the connection goes up by so much, and so does TSval in the packet.
    Shift(u32),
    /// It was done before: this one is a repetition.
    Leave,
    /// It cannot be done.
    Skip(Outcome),
}

/// Says what is to be done with a SYN/ACK with these options and this TSval, if the connection is to have the offset `want`.
#[must_use]
pub fn step(want: u32, request: &Request, found: &Found, value: u32) -> Step {
    if found.signed {
        return Step::Skip(Outcome::Signed);
    }
    if !request.timestamps || found.timestamps.is_none() {
        return Step::Skip(Outcome::NoTimestamps);
    }
    if request.microseconds {
        return Step::Skip(Outcome::Microseconds);
    }
    let shift = want.wrapping_sub(request.offset);
    // Both signs.
    if shift.wrapping_add(NEAR) <= NEAR.wrapping_mul(2) {
        return Step::Leave;
    }
    // The client may have seen another clock already, and must see it go on.
    if value != request.first {
        return Step::Skip(Outcome::Late);
    }
    // The kernel takes a first value of 0 for none.
    if value.wrapping_add(shift) == 0 {
        return Step::Shift(shift.wrapping_add(1));
    }
    Step::Shift(shift)
}

/// Declares the outcomes, each with the name of its counter.
macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $counter:literal,)*) => {
        /// What became of a SYN/ACK.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Outcome {
            $($(#[$doc])* $name,)*
        }

        impl Outcome {
            /// Every outcome, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Number of outcomes.
            pub const COUNT: usize = Self::ALL.len();

            /// Name of its counter.
            #[must_use]
            pub const fn counter(self) -> &'static str {
                match self {
                    $(Self::$name => $counter,)*
                }
            }

            /// Position of its counter.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

outcomes! {
    /// The connection has its offset now.
    Set = "cookie_set_answers",
    /// One of the two ends uses no timestamps.
    NoTimestamps = "cookie_no_timestamps_answers",
    /// This end counts microseconds (a feature of its route).
    Microseconds = "cookie_microseconds_answers",
    /// The header is signed (MD5, AO).
    Signed = "cookie_signed_answers",
    /// A SYN cookie: the kernel keeps nothing of the connection.
    SynCookie = "cookie_syn_cookie_answers",
    /// TCP Fast Open with data in the SYN: the connection is there already.
    FastOpen = "cookie_fast_open_answers",
    /// A repetition of one that was sent with another offset.
    Late = "cookie_late_answers",
    /// No memory for a private copy of the header.
    NoMemory = "cookie_no_memory_answers",
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: Found = Found {
        timestamps: Some(8),
        signed: false,
    };
    const REQUEST: Request = Request {
        timestamps: true,
        microseconds: false,
        offset: 0xfedc_ba98,
        first: 7,
    };

    #[test]
    fn the_first_one_is_shifted() {
        assert_eq!(
            step(5, &REQUEST, &FOUND, 7),
            Step::Shift(5u32.wrapping_sub(0xfedc_ba98))
        );
    }

    #[test]
    fn a_repetition_is_left() {
        for near in [0, 1, NEAR] {
            let want = REQUEST.offset.wrapping_add(near);
            assert_eq!(step(want, &REQUEST, &FOUND, 9), Step::Leave, "+{near}");
            let want = REQUEST.offset.wrapping_sub(near);
            assert_eq!(step(want, &REQUEST, &FOUND, 9), Step::Leave, "-{near}");
        }
        let further = REQUEST.offset.wrapping_add(NEAR + 1);
        assert_eq!(
            step(further, &REQUEST, &FOUND, 9),
            Step::Skip(Outcome::Late)
        );
        let further = REQUEST.offset.wrapping_sub(NEAR + 1);
        assert_eq!(
            step(further, &REQUEST, &FOUND, 9),
            Step::Skip(Outcome::Late)
        );
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let without = Found {
            timestamps: None,
            ..FOUND
        };
        let skip = |request: Request, found: &Found| step(5, &request, found, 7);
        assert_eq!(skip(REQUEST, &without), Step::Skip(Outcome::NoTimestamps));
        let refused = Request {
            timestamps: false,
            ..REQUEST
        };
        assert_eq!(skip(refused, &FOUND), Step::Skip(Outcome::NoTimestamps));
        let fine = Request {
            microseconds: true,
            ..REQUEST
        };
        assert_eq!(skip(fine, &FOUND), Step::Skip(Outcome::Microseconds));
        let signed = Found {
            signed: true,
            ..without
        };
        assert_eq!(skip(REQUEST, &signed), Step::Skip(Outcome::Signed));
    }

    #[test]
    fn no_first_value_becomes_0() {
        let request = Request {
            first: 0x1234_5678,
            ..REQUEST
        };
        let want = REQUEST.offset.wrapping_sub(0x1234_5678);
        let Step::Shift(shift) = step(want, &request, &FOUND, 0x1234_5678) else {
            panic!("no shift");
        };
        assert_eq!(0x1234_5678u32.wrapping_add(shift), 1);
    }

    #[test]
    fn counters_have_names_of_their_own() {
        for (index, one) in Outcome::ALL.iter().enumerate() {
            assert_eq!(one.index(), index);
            assert!(one.counter().starts_with("cookie_"));
            assert!(one.counter().ends_with("_answers"));
            let same = Outcome::ALL
                .iter()
                .filter(|other| other.counter() == one.counter());
            assert_eq!(same.count(), 1, "{}", one.counter());
        }
    }
}
