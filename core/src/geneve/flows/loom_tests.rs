// SPDX-License-Identifier: GPL-2.0

//! The lock-free part under a model checker: every order in which two CPUs' loads and stores can be seen, by the rules of the
//! language's memory model and not of this machine's. Buckets have one or two entries of two words here: flow and endpoint, and a
//! header. The header of a flow is made from it, so a mixture shows.

use super::bucket::{Answer, Clock, Coming, Entries, Going, Outcome, Pair, Sought};
use super::entry::Way;
use super::meta::Limits;
use super::slot::Word;
use super::tuple::Turn;
use loom::sync::atomic::{fence, AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread;

impl Word for AtomicU64 {
    fn load(&self) -> u64 {
        AtomicU64::load(self, Ordering::Acquire)
    }
    fn store(&self, value: u64) {
        AtomicU64::store(self, value, Ordering::Release);
    }
    fn exchange(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
    fn fence() {
        fence(Ordering::SeqCst);
    }
    fn pause() {
        thread::yield_now();
    }
}

type Small<const S: usize> = Entries<AtomicU64, S, 2>;

fn bucket<const S: usize>() -> Small<S> {
    Entries {
        metas: core::array::from_fn(|_| AtomicU64::new(0)),
        refused: AtomicU64::new(0),
        words: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0))),
    }
}

/// A flow by its number, and how packets travel; all have one tag.
struct Flow(u64, Way);

impl Sought<2> for Flow {
    fn tag(&self) -> u8 {
        7
    }
    fn way(&self, content: &[u64; 2]) -> Option<Way> {
        (content[0] >> 8 == self.0).then_some(self.1)
    }
    fn endpoint(content: &[u64; 2]) -> u64 {
        content[0] & 0xff
    }
    fn mark(&self, endpoint: u64) -> u32 {
        endpoint as u32
    }
}

/// The entry of a flow at an endpoint with the `n`th header.
const fn entry(flow: u64, endpoint: u64, n: u64) -> [u64; 2] {
    let key = flow << 8 | endpoint;
    [key, key << 32 | n]
}

const fn at(now: u32) -> Clock {
    Clock {
        limits: Limits::DEFAULT,
        now,
    }
}

fn put<const S: usize>(bucket: &Small<S>, content: [u64; 2], now: u32) -> Outcome {
    let pair = Pair {
        first: bucket,
        second: None,
    };
    let coming = Coming {
        content: &content,
        is_tcp: false,
        turn: Turn::Amid,
    };
    pair.record(&Flow(content[0] >> 8, Way::Same), &coming, at(now))
}

fn get<const S: usize>(bucket: &Small<S>, flow: u64, endpoint: Option<u64>, now: u32) -> Answer<2> {
    let pair = Pair {
        first: bucket,
        second: None,
    };
    let turn = Turn::Amid;
    let sought = Flow(flow, Way::Opposite);
    pair.find(&sought, &Going { endpoint, turn }, at(now))
}

fn check(bound: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(test);
}

#[test]
fn a_reader_never_sees_half_an_entry() {
    check(3, || {
        let bucket = Arc::new(bucket::<1>());
        put(&bucket, entry(1, 1, 0), 0);
        let writer = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                // Another header for the same flow; then its time is over, and another flow has the entry.
                // A reader whose clock is ahead may have emptied the entry.
                let outcome = put(&bucket, entry(1, 1, 1), 0);
                assert!(matches!(outcome, Outcome::Known | Outcome::First));
                assert_eq!(put(&bucket, entry(2, 1, 0), 400), Outcome::First);
            })
        };
        match get(&bucket, 1, None, 0) {
            Answer::Entry(seen) => assert!([entry(1, 1, 0), entry(1, 1, 1)].contains(&seen)),
            Answer::Nothing | Answer::Busy => {}
            other => panic!("{other:?}"),
        }
        match get(&bucket, 2, Some(1), 400) {
            Answer::Entry(seen) => assert_eq!(seen, entry(2, 1, 0)),
            Answer::Nothing | Answer::Busy => {}
            other => panic!("{other:?}"),
        }
        writer.join().unwrap();
        assert_eq!(get(&bucket, 2, None, 400), Answer::Entry(entry(2, 1, 0)));
        assert_eq!(get(&bucket, 1, None, 400), Answer::Nothing);
    });
}

#[test]
fn two_new_flows_do_not_get_one_entry() {
    check(3, || {
        let bucket = Arc::new(bucket::<1>());
        // It stays.
        let settle = |flow: u64| {
            get(&bucket, flow, None, 0);
            put(&bucket, entry(flow, 1, 0), 0)
        };
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, entry(1, 1, 0), 0))
        };
        let mine = put(&bucket, entry(2, 1, 0), 0);
        let other = other.join().unwrap();
        // The one that came first, or the one that took its place.
        assert_ne!((mine, other), (Outcome::First, Outcome::First));
        let kept: std::vec::Vec<u64> = (1..=2)
            .filter(|flow| get(&bucket, *flow, None, 0) == Answer::Entry(entry(*flow, 1, 0)))
            .collect();
        assert_eq!(kept.len(), 1, "{mine:?} {other:?}");
        assert_eq!(settle(kept[0]), Outcome::Known);
        assert_eq!(put(&bucket, entry(3, 1, 0), 0), Outcome::Refused);
        assert_eq!(get(&bucket, 3, None, 0), Answer::Nothing);
    });
}

#[test]
fn two_packets_of_one_flow_leave_one_of_their_headers() {
    check(3, || {
        let bucket = Arc::new(bucket::<2>());
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, entry(1, 1, 0), 0))
        };
        put(&bucket, entry(1, 1, 1), 0);
        other.join().unwrap();
        let Answer::Entry(seen) = get(&bucket, 1, None, 0) else {
            panic!("nothing is kept");
        };
        assert!([entry(1, 1, 0), entry(1, 1, 1)].contains(&seen));
        assert_eq!(put(&bucket, entry(1, 1, 2), 0), Outcome::Known);
        assert_eq!(
            get(&bucket, 1, None, 0),
            Answer::Entry(entry(1, 1, 2)),
            "what came last counts"
        );
    });
}

/// Two endpoints have one flow each with the same number. Whoever asks without an endpoint gets neither's header, also while one of
/// them loses its entry to a third flow.
#[test]
fn an_entry_that_is_given_up_leaves_its_mark() {
    check(3, || {
        let bucket = Arc::new(bucket::<2>());
        put(&bucket, entry(1, 1, 0), 1);
        put(&bucket, entry(1, 2, 0), 0);
        let writer = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, entry(3, 1, 0), 1))
        };
        let seen = get(&bucket, 1, None, 1);
        assert!(matches!(seen, Answer::Several | Answer::Busy), "{seen:?}");
        let seen = get(&bucket, 1, Some(1), 1);
        assert!(matches!(seen, Answer::Entry(_) | Answer::Busy), "{seen:?}");
        assert_eq!(writer.join().unwrap(), Outcome::Replaced);
        assert_eq!(get(&bucket, 1, None, 1), Answer::Several);
        assert_eq!(get(&bucket, 1, Some(1), 1), Answer::Entry(entry(1, 1, 0)));
        assert_eq!(get(&bucket, 1, Some(2), 1), Answer::Nothing);
    });
}

/// Two endpoints begin the same flow at the same time. Whoever of them is given up later, the other one's entry knows of it.
#[test]
fn two_endpoints_that_begin_one_flow_know_of_each_other() {
    check(3, || {
        let bucket = Arc::new(bucket::<2>());
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, entry(1, 2, 0), 0))
        };
        let mine = put(&bucket, entry(1, 1, 0), 0);
        let other = other.join().unwrap();
        if (mine, other) == (Outcome::First, Outcome::First) {
            assert_eq!(put(&bucket, entry(3, 1, 0), 1), Outcome::Replaced);
            assert_eq!(get(&bucket, 1, None, 1), Answer::Several);
        } else {
            // One of them has not been let in, so it has no answers.
            let endpoint = if mine == Outcome::First { 1 } else { 2 };
            let seen = get(&bucket, 1, None, 1);
            assert_eq!(seen, Answer::Entry(entry(1, endpoint, 0)));
        }
    });
}
