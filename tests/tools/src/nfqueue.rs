// SPDX-License-Identifier: GPL-2.0

//! A program behind the target NFQUEUE that accepts every packet, as inline filters (intrusion prevention) do: the kernel
//! hands a packet to it, and goes on with it in the process's own context when the verdict comes.

use anyhow::{Context, Result};
use nfq::{Queue, Verdict};

/// Accepts what comes in a netfilter queue, until it is ended.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of the queue.
    queue: u16,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut queue =
        Queue::open().context("no netfilter queues here: is nfnetlink_queue loaded?")?;
    queue
        .bind(arguments.queue)
        .with_context(|| format!("queue {}", arguments.queue))?;
    // Scenarios wait for this line.
    println!("bound to queue {}", arguments.queue);
    loop {
        let mut packet = queue.recv().context("cannot receive")?;
        packet.set_verdict(Verdict::Accept);
        queue.verdict(packet).context("the verdict was refused")?;
    }
}
