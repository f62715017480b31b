// SPDX-License-Identifier: GPL-2.0

//! The lock-free part under a model checker: every order in which two CPUs' loads and stores can be seen, by the rules of the
//! language's memory model and not of this machine's.

use super::bucket::{Clock, Entries, Entry, Outcome, Word};
use super::key::{Key, Kind};
use crate::director::ids::Tag;
use crate::director::inspect::Turn;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::AtomicUsize;

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
}

fn bucket() -> Entries<AtomicU64> {
    Entries(core::array::from_fn(|_| Entry {
        meta: AtomicU64::new(0),
        addrs: AtomicU64::new(0),
    }))
}

/// Keys that differ in their addresses only: the word with the ports does not tell them apart.
const fn key(addrs: u64) -> Key {
    Key {
        kind: Kind::V4Tcp,
        addrs,
        ports: 80,
        place: 0,
    }
}

const fn tag(bits: u16) -> Tag {
    Tag::from_bits(bits)
}

const fn at(now: u16) -> Clock {
    Clock { timeout: 40, now }
}

fn put(bucket: &Entries<AtomicU64>, addrs: u64, of: u16, now: u16) -> Outcome {
    bucket.follow((&key(addrs), Turn::Amid), at(now), Some(tag(of)), |_| true)
}

/// What the packet path asks first (`known` of the table): the backend of a key, whose time is written if it keeps its flows.
fn known(
    bucket: &Entries<AtomicU64>,
    addrs: u64,
    now: u16,
    keeps: impl Fn(Tag) -> bool,
) -> Option<Tag> {
    let (entry, meta) = bucket.known(&key(addrs), at(now))?;
    let tag = Some(meta.tag()).filter(|tag| keeps(*tag))?;
    entry.touch(meta, Turn::Amid, at(now));
    Some(tag)
}

/// Fills all entries but the first, so that there is one to fight for.
fn fill(bucket: &Entries<AtomicU64>, now: u16) {
    for addrs in [100, 101, 102, 103] {
        assert_eq!(put(bucket, addrs, 9, now), Outcome::First);
    }
}

/// Bounds what the checker tries where three threads run: up to three switches at other than blocking points find nearly all.
fn check(bound: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    let runs = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&runs);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        test();
    });
    // One order alone would say nothing.
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs > 10, "{runs} orders");
}

#[test]
fn a_reader_never_sees_half_an_entry() {
    check(Some(3), || {
        let bucket = Arc::new(bucket());
        put(&bucket, 1, 1, 0);
        let reader = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                // A flow has its own backend or none. What the other CPU puts in is of a later time, in which its flows are
                // looked for.
                for (addrs, of, now) in [(2, 2, 0), (2, 2, 100), (1, 1, 0)] {
                    let seen = bucket.peek(&key(addrs), at(now));
                    assert!(seen.is_none() || seen == Some(tag(of)), "{addrs}: {seen:?}");
                }
            })
        };
        let writer = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                // The first entry's time is over: it gets another key.
                assert_eq!(put(&bucket, 2, 2, 100), Outcome::First);
            })
        };
        // A third CPU has packets of both flows. That of the first one writes its second, maybe while the entry changes hands.
        for (addrs, of, now) in [(1, 1, 1), (2, 2, 100)] {
            let seen = known(&bucket, addrs, now, |_| true);
            assert!(seen.is_none() || seen == Some(tag(of)), "{addrs}: {seen:?}");
        }
        reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(bucket.peek(&key(2), at(100)), Some(tag(2)));
        assert_eq!(bucket.peek(&key(1), at(1)), None);
        assert_eq!(bucket.peek(&key(1), at(0)), None);
    });
}

/// What is asked first of each packet, and what its answer writes.
#[test]
fn a_known_flow_has_its_own_backend_and_writes_its_own_entry() {
    check(Some(3), || {
        let bucket = Arc::new(bucket());
        put(&bucket, 1, 1, 0);
        let packets = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                for (addrs, of, now, turn) in [(2, 2, 100, Turn::Amid), (1, 1, 0, Turn::Ends)] {
                    if let Some((entry, meta)) = bucket.known(&key(addrs), at(now)) {
                        assert_eq!(meta.tag(), tag(of));
                        entry.touch(meta, turn, at(now));
                    }
                }
            })
        };
        let writer = {
            let bucket = Arc::clone(&bucket);
            // The first entry's time is over: it gets another key.
            thread::spawn(move || assert_eq!(put(&bucket, 2, 2, 100), Outcome::First))
        };
        packets.join().unwrap();
        writer.join().unwrap();
        assert!(bucket.known(&key(1), at(0)).is_none());
        let (_, meta) = bucket.known(&key(2), at(100)).expect("a flow");
        // The FIN was the other flow's.
        assert!(meta.tag() == tag(2) && !meta.is_closing());
    });
}

#[test]
fn two_new_flows_do_not_get_one_entry() {
    check(None, || {
        let bucket = Arc::new(bucket());
        fill(&bucket, 0);
        bucket.release(|meta| meta.tag() == tag(9));
        // Three stay, one is free.
        for addrs in [100, 101, 102] {
            put(&bucket, addrs, 9, 0);
        }
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, 1, 1, 0))
        };
        let mine = put(&bucket, 2, 2, 0);
        let outcomes = [other.join().unwrap(), mine];
        let first = outcomes.iter().filter(|one| **one == Outcome::First);
        assert_eq!(first.count(), 1, "{outcomes:?}");
        for (outcome, (addrs, of)) in outcomes.iter().zip([(1, 1), (2, 2)]) {
            let kept = (*outcome == Outcome::First).then_some(tag(of));
            assert_eq!(bucket.peek(&key(addrs), at(0)), kept);
        }
        assert_eq!(bucket.peek(&key(100), at(0)), Some(tag(9)));
    });
}

#[test]
fn the_first_two_packets_of_a_flow_agree_or_one_is_untracked() {
    check(None, || {
        let bucket = Arc::new(bucket());
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || put(&bucket, 1, 1, 0))
        };
        // This CPU has other tables.
        let mine = put(&bucket, 1, 2, 0);
        let kept = bucket.peek(&key(1), at(0));
        let other = other.join().unwrap();
        let at_last = bucket.peek(&key(1), at(0));
        assert!(kept.is_none() || kept == at_last);
        match (mine, other) {
            (Outcome::First, Outcome::First) => panic!("two entries of a flow"),
            (Outcome::First, Outcome::Known(of)) => {
                assert_eq!((of, at_last), (tag(2), Some(tag(2))));
            }
            (Outcome::Known(of), Outcome::First) => {
                assert_eq!((of, at_last), (tag(1), Some(tag(1))));
            }
            (Outcome::First, Outcome::Untracked) => assert_eq!(at_last, Some(tag(2))),
            (Outcome::Untracked, Outcome::First) => assert_eq!(at_last, Some(tag(1))),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_sweep_beside_packets_leaves_nothing_of_what_it_ends() {
    check(None, || {
        let bucket = Arc::new(bucket());
        put(&bucket, 1, 1, 0);
        put(&bucket, 2, 2, 0);
        let packets = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                // Backend 1 has left: whoever is on these tables does not follow it.
                let seen = bucket.follow((&key(1), Turn::Amid), at(7), Some(tag(3)), |of| {
                    of != tag(1)
                });
                assert!(
                    matches!(seen, Outcome::First | Outcome::Untracked),
                    "{seen:?}"
                );
                assert_eq!(put(&bucket, 2, 3, 7), Outcome::Known(tag(2)));
            })
        };
        bucket.release(|meta| meta.tag() == tag(1));
        packets.join().unwrap();
        assert_ne!(bucket.peek(&key(1), at(7)), Some(tag(1)));
        assert_eq!(bucket.peek(&key(2), at(7)), Some(tag(2)));
        let left = bucket.release(|_| true);
        assert!((1..=2).contains(&left), "{left}");
    });
}

#[test]
fn a_sweep_beside_packets_of_known_flows_leaves_nothing_of_what_it_ends() {
    check(Some(3), || {
        let bucket = Arc::new(bucket());
        put(&bucket, 1, 1, 0);
        put(&bucket, 2, 2, 0);
        let stays = |of| of != tag(1);
        let reader = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                let seen = known(&bucket, 1, 7, stays);
                assert!(seen.is_none() || seen == Some(tag(3)), "{seen:?}");
                assert_eq!(known(&bucket, 2, 7, stays), Some(tag(2)));
            })
        };
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                bucket.follow((&key(1), Turn::Amid), at(8), Some(tag(3)), stays);
            })
        };
        bucket.release(|meta| meta.tag() == tag(1));
        reader.join().unwrap();
        other.join().unwrap();
        assert_ne!(bucket.peek(&key(1), at(8)), Some(tag(1)));
        assert_eq!(bucket.peek(&key(2), at(8)), Some(tag(2)));
    });
}

#[test]
fn a_fin_is_not_lost_to_a_flow_that_comes_behind() {
    check(Some(3), || {
        let bucket = Arc::new(bucket());
        put(&bucket, 1, 1, 0);
        let fin = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                bucket.follow((&key(1), Turn::Ends), at(41), Some(tag(2)), |_| true)
            })
        };
        let other = {
            let bucket = Arc::clone(&bucket);
            // Its entry's time is over just now.
            thread::spawn(move || put(&bucket, 2, 2, 41))
        };
        fin.join().unwrap();
        assert_eq!(other.join().unwrap(), Outcome::First);
        assert_eq!(bucket.peek(&key(2), at(41)), Some(tag(2)));
        let seen = bucket.peek(&key(1), at(41));
        assert!(seen.is_none() || seen == Some(tag(2)), "{seen:?}");
    });
}
