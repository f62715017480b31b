// SPDX-License-Identifier: GPL-2.0

//! The commands about cookies. A key is taken and never told.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::cookie;
use crate::state::{CookieSettings, State};
use glb_core::cookie::{Cookie, MAX_BITS, MIN_BITS};
use glb_core::netlink::glb_redirect::{command, cookie as attribute, operation};
use glb_kernel::genl::{notify, Command, Message, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// Bytes of a message with all settings.
const LEN: usize = 256;

/// `cookie-on`: sets cookies with these settings, or changes them.
pub(super) struct On;

impl Command for On {
    type Family = Family;
    const SPEC: Spec = operation::COOKIE_ON;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let settings = settings(request)?;
        let (net, registered) = (request.net(), request.registered());
        cookie::open(state, net, registered, settings)?;
        cookie::with_settings(state, |settings| {
            notify(net, command::COOKIE_NTF, LEN, |message| {
                put(message, settings)
            });
        });
        Ok(())
    }
}

fn settings(request: &Request<'_>) -> Result<CookieSettings> {
    let bits = request.require(attribute::BITS)?;
    let key = match request.get(attribute::KEY) {
        Some(key) => Some(key.array()?),
        None => None,
    };
    let cookie = Cookie::new(bits.u8()?, key.as_ref()).ok_or_else(|| {
        refuse!(
            request,
            EINVAL,
            Some(&bits),
            "an id has {MIN_BITS} to {MAX_BITS} bits"
        )
    })?;
    let id = request.require(attribute::ID)?;
    let settings = CookieSettings {
        id: id.u16()?,
        cookie,
    };
    if !settings.cookie.has(settings.id) {
        return Err(refuse!(
            request,
            ERANGE,
            Some(&id),
            "no id of {} bits: give a smaller id or more bits",
            cookie.bits()
        ));
    }
    Ok(settings)
}

/// `cookie-off`: sets no more cookies. `ENOENT` if none are set.
pub(super) struct Off;

impl Command for Off {
    type Family = Family;
    const SPEC: Spec = operation::COOKIE_OFF;

    fn run(state: &State, request: &Request<'_>) -> Result {
        if !cookie::close(state, request.net(), request.registered()) {
            return Err(refuse!(request, ENOENT, None, "the cookie is off"));
        }
        notify(request.net(), command::COOKIE_NTF, LEN, |message| {
            put(message, None)
        });
        Ok(())
    }
}

/// `cookie-get`: whether cookies are set, and of what.
pub(super) struct Get;

impl Command for Get {
    type Family = Family;
    const SPEC: Spec = operation::COOKIE_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        request.reply(LEN, |message| {
            cookie::with_settings(state, |settings| put(message, settings))
        })
    }
}

fn put(message: &mut Message<'_>, settings: Option<&CookieSettings>) -> Result {
    message.u8(attribute::ENABLED, u8::from(settings.is_some()))?;
    let Some(CookieSettings { id, cookie }) = settings else {
        return Ok(());
    };
    message.u16(attribute::ID, *id)?;
    message.u8(attribute::BITS, cookie.bits())?;
    message.u8(attribute::KEYED, u8::from(cookie.is_keyed()))
}
