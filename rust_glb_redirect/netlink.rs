// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `glb_redirect`, as `spec/glb_redirect.yaml` describes it: it opens and closes the
//! second door, and shows the counters of both.

#![forbid(unsafe_code)]

use crate::door;
use crate::state::DoorSettings;
use crate::state::State;
use glb_core::netlink::glb_redirect::{
    self as netlink, command, counter, operation, prefix, redirect, stats,
};
use glb_core::packet::gue;
use glb_core::redirect::{AllowedHops, NotAllowed, Options, MAX_ALLOWED};
use glb_kernel::genl::{
    self, nest, nest_room, notify, Attr, Command, Message, Operation, Rule, Spec,
};
use glb_kernel::net::named::Namespaces;
use glb_kernel::refuse;
use glb_kernel::sockets::elsewhere::{Elsewhere, Refused};
use kernel::prelude::*;

mod cookie;

type Request<'a> = genl::Request<'a, State>;

/// Bytes of a message with all prefixes and names.
const SETTINGS_LEN: usize = 2048;
/// Bytes of a message with all counters.
const STATS_LEN: usize = 4096;

/// The family.
pub(crate) struct Family;

impl genl::Family for Family {
    type State = State;
    const NAME: &'static str = netlink::FAMILY;
    const VERSION: u32 = netlink::VERSION as u32;
    const GROUP: &'static str = netlink::EVENTS;
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::command::<On>(),
        Operation::command::<Off>(),
        Operation::command::<Get>(),
        Operation::command::<StatsGet>(),
        Operation::command::<cookie::On>(),
        Operation::command::<cookie::Off>(),
        Operation::command::<cookie::Get>(),
    ];
}

/// `on`: opens the door with these settings, or changes an open one to them.
struct On;

impl Command for On {
    type Family = Family;
    const SPEC: Spec = operation::ON;
    const NESTS: &'static [(u16, Rule)] = &{
        static PREFIX: [Rule; nest_room(&prefix::SET)] = nest(&prefix::SET);
        [(redirect::ALLOW_HOP, Rule::nested(&PREFIX))]
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let port = match request.get(redirect::PORT) {
            Some(port) => port.u16()?,
            None => gue::PORT,
        };
        let mut allowed = AllowedHops::ANY;
        for hop in request.attrs().all(redirect::ALLOW_HOP) {
            allow(request, &mut allowed, &hop)?;
        }
        let options = options(request)?;
        let settings = DoorSettings {
            port,
            allowed,
            options,
            elsewhere: elsewhere(request, options)?,
        };
        let (net, registered) = (request.net(), request.registered());
        state.routes().prepare()?;
        door::open(state, net, registered, settings)?;
        door::with_settings(state, |settings| {
            notify(net, command::NTF, SETTINGS_LEN, |message| {
                put(message, settings)
            });
        });
        Ok(())
    }
}

/// Takes a prefix of the request in.
fn allow<'a>(request: &Request<'a>, allowed: &mut AllowedHops, hop: &Attr<'a>) -> Result {
    let address = request.addr(&request.require_in(hop, prefix::ADDRESS)?)?;
    let bits = request.require_in(hop, prefix::PREFIX_LEN)?;
    allowed
        .push(address, bits.u8()?)
        .map_err(|error| match error {
            NotAllowed::TooMany => refuse!(
                request,
                E2BIG,
                Some(hop),
                "more than {MAX_ALLOWED} prefixes"
            ),
            NotAllowed::TooLong => refuse!(
                request,
                EINVAL,
                Some(&bits),
                "the prefix is longer than its address"
            ),
        })
}

/// The flags that change which packets stay, with the options that they stand for.
const FLAGS: [(u16, Options); 3] = [
    (redirect::SYN_LISTENER, Options::SYN_LISTENER),
    (redirect::UDP, Options::UDP),
    (redirect::CONNTRACK, Options::CONNTRACK),
];

/// The options of the request that are flags.
fn options(request: &Request<'_>) -> Result<Options> {
    let mut options = Options::NONE;
    for (kind, option) in FLAGS {
        if let Some(flag) = request.get(kind) {
            options = options.with(option, flag.u8()? != 0);
        }
    }
    if !options.go_together() {
        return Err(refuse!(
            request,
            EINVAL,
            request.get(redirect::CONNTRACK).as_ref(),
            "{}",
            text(Options::CONTRADICTION)
        ));
    }
    Ok(options)
}

/// What the request wants to be asked beyond the sockets of the namespace.
fn elsewhere(request: &Request<'_>, options: Options) -> Result<Option<KBox<Elsewhere>>> {
    let names = || request.attrs().all(redirect::NETNS);
    let texts = names().map(|name| name.text());
    // Nothing is loaded here: the kernel's lock of generic netlink is held, and a module that is loaded may need it.
    Elsewhere::new(request.net(), || request.caller(), options, texts, false).map_err(|refused| {
        let attr = match &refused {
            Refused::Namespace(index, _) => names().nth(*index),
            _ => request.get(redirect::CONNTRACK),
        };
        refuse!(
            request,
            refused.error(),
            attr.as_ref(),
            "{}",
            text(refused.text())
        )
    })
}

/// A text of the kernel crate.
fn text(text: &CStr) -> &str {
    text.to_str().unwrap_or_default()
}

/// `off`: closes the door. `ENOENT` if it is closed.
struct Off;

impl Command for Off {
    type Family = Family;
    const SPEC: Spec = operation::OFF;

    fn run(state: &State, request: &Request<'_>) -> Result {
        if !door::close(state, request.net(), request.registered()) {
            return Err(refuse!(request, ENOENT, None, "the redirect is off"));
        }
        notify(request.net(), command::NTF, SETTINGS_LEN, |message| {
            put(message, None)
        });
        Ok(())
    }
}

/// `get`: whether the door is open, and its settings.
struct Get;

impl Command for Get {
    type Family = Family;
    const SPEC: Spec = operation::GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(SETTINGS_LEN, |message| {
            door::with_settings(state, |settings| put(message, settings))
        })
    }
}

fn put(message: &mut Message<'_>, settings: Option<&DoorSettings>) -> Result {
    message.u8(redirect::ENABLED, u8::from(settings.is_some()))?;
    let Some(settings) = settings else {
        return Ok(());
    };
    message.u16(redirect::PORT, settings.port)?;
    for allowed in settings.allowed.prefixes().into_iter().flatten() {
        let len = if allowed.ipv6 { 16 } else { 4 };
        let address = allowed.address.get(..len).unwrap_or_default();
        message.nest(redirect::ALLOW_HOP, |message| {
            message.bytes(prefix::ADDRESS, address)?;
            message.u8(prefix::PREFIX_LEN, allowed.bits)
        })?;
    }
    for (kind, option) in FLAGS {
        message.u8(kind, u8::from(settings.options.has(option)))?;
    }
    let elsewhere = settings.elsewhere.as_deref();
    let namespaces = elsewhere.and_then(Elsewhere::namespaces);
    for name in namespaces.into_iter().flat_map(Namespaces::names) {
        message.text(redirect::NETNS, name)?;
    }
    Ok(())
}

/// `stats-get`: the counters of both doors.
struct StatsGet;

impl Command for StatsGet {
    type Family = Family;
    const SPEC: Spec = operation::STATS_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(STATS_LEN, |message| {
            for (name, value) in state.stats().all() {
                message.counter(stats::COUNTER, [counter::NAME, counter::VALUE], name, value)?;
            }
            Ok(())
        })
    }
}
