// SPDX-License-Identifier: GPL-2.0

//! `glb-packets blast`: prepared frames into a host, as fast as it takes them, for the benchmarks.
//!
//! The frames come in through a TAP device, made here: each write is one frame, handled by the kernel to its end
//! before the write returns. So the time of many writes is the time of the packets' ways, and nothing waits in a queue.
//! All that is not the packet's way (the loop, the system call, the making of the socket buffer) is the same for
//! every set-up that is compared.
//!
//! Standard input says what to do, a line a step; each is answered by one line:
//!
//! ```text
//! set NAME KEY=VALUE...   make frames (frame.rs)         NAME FRAMES
//! send NAME COUNT         send so many, in turn          NAME COUNT NANOSECONDS
//! ```

mod frame;

use crate::capture::ethernet::Mac;
use anyhow::{bail, Context, Result};
use frame::Spec;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;
use tappers::{Interface, Tap};

/// Send prepared frames into this host through a TAP device, as standard input says.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The TAP device, made here and gone with the program
    #[arg(long, value_name = "NAME", default_value = "tap0")]
    tap: String,
    /// Its address, which the frames are sent to
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:b0")]
    mac: Mac,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let name = Interface::new(&arguments.tap).context("--tap")?;
    let mut tap = Tap::new_named(name).context("cannot make the TAP device")?;
    tap.set_up().context("cannot set the TAP device up")?;
    println!("ready");
    let mut sets: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["set", name, spec @ ..] => {
                let frames = Spec::parse(spec)
                    .and_then(|spec| spec.frames(arguments.mac))
                    .with_context(|| line.clone())?;
                println!("{name} {}", frames.len());
                sets.insert((*name).to_owned(), frames);
            }
            ["send", name, count] => {
                let count: usize = count.parse().with_context(|| line.clone())?;
                let frames = sets
                    .get(*name)
                    .with_context(|| format!("no set '{name}'"))?;
                let started = Instant::now();
                for frame in frames.iter().cycle().take(count) {
                    tap.send(frame).context("cannot send")?;
                }
                println!("{name} {count} {}", started.elapsed().as_nanos());
            }
            _ => bail!("neither 'set NAME KEY=VALUE...' nor 'send NAME COUNT': {line}"),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}
