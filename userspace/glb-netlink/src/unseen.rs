// SPDX-License-Identifier: GPL-2.0

//! What the redirect of this machine keeps a packet for, and the lists of sockets do not show.
//!
//! Only the module's own hook tells its settings. What rules of iptables ask for (`--conntrack`, `--netns`) is not seen here.

use crate::error::Error;
use crate::netns::Namespace;
use crate::redirect::{Door, Redirect};
use crate::sock_diag::Sockets;

/// Why there may be connections that are in none of these lists, for a reader each.
#[must_use]
pub fn unseen(sockets: &Sockets) -> Vec<String> {
    match Redirect::open_loaded().and_then(|mut redirect| redirect.get()) {
        Ok(door) => door.map_or_else(Vec::new, |door| of(&door, sockets)),
        Err(Error::NoFamily(_)) => Vec::new(),
        Err(error) => vec![format!("what the redirect asks is not known: {error}")],
    }
}

fn of(door: &Door, sockets: &Sockets) -> Vec<String> {
    let mut all = Vec::new();
    if door.conntrack {
        let reason = "the redirect keeps what the connection tracking knows, such as connections of containers behind DNAT";
        all.push(reason.to_owned());
    }
    for name in &door.netns {
        let is_listed = Namespace::open(name).is_ok_and(|one| sockets.has(&one));
        if !is_listed {
            all.push(format!(
                "the redirect asks the network namespace {name}, whose connections are not counted: name it too (netns)"
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lists_do_not_show() {
        let sockets = Sockets::open(&[]).expect("opened");
        let door = |conntrack, netns: &[&str]| Door {
            conntrack,
            netns: netns.iter().map(|name| (*name).to_owned()).collect(),
            ..Door::default()
        };
        assert_eq!(of(&door(false, &[]), &sockets), [] as [&str; 0]);
        // The caller's own is listed, by whatever name.
        let own = "/proc/thread-self/ns/net";
        assert_eq!(of(&door(false, &[own]), &sockets), [] as [&str; 0]);
        let all = of(&door(true, &[own, "glb-nowhere"]), &sockets);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].contains("connection tracking"), "{all:?}");
        assert!(all[1].contains("glb-nowhere"), "{all:?}");
    }
}
