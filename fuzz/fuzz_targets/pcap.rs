// SPDX-License-Identifier: GPL-2.0

//! The reader of captures: what it reads and writes again is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../userspace/glbctl/src/pcap.rs"]
mod pcap;

use pcap::{Reader, Writer};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::new(data) else {
        return;
    };
    let mut copy = Vec::new();
    let mut writer = Writer::like(&mut copy, &reader).expect("memory takes all");
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.frame() {
        writer
            .frame(&frame, &[&frame.bytes])
            .expect("memory takes all");
        frames.push((frame.milliseconds(), frame.bytes));
    }
    writer.finish().expect("memory takes all");
    let mut reader = Reader::new(&copy[..]).expect("our own file");
    for (milliseconds, bytes) in frames {
        let frame = reader.frame().unwrap().unwrap();
        assert_eq!((frame.milliseconds(), frame.bytes), (milliseconds, bytes));
    }
    assert!(reader.frame().unwrap().is_none());
    assert_eq!(reader.bytes_read(), copy.len());
});
