// SPDX-License-Identifier: GPL-2.0

//! `glbctl redirect cookie`: the timestamps of connections that begin here name this proxy.

use crate::cli::cookie::{CookieCommand, On};
use crate::output::{print, Failure};
use glb_core::cookie::Cookie as Layout;
use glb_netlink::{Cookie, CookieKey, Redirect};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct CookieView {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyed: Option<bool>,
}

pub(crate) fn run(command: &CookieCommand, json: bool) -> Result<(), Failure> {
    match command {
        CookieCommand::On(on) => {
            let (cookie, key) = read(on)?;
            let mut redirect = Redirect::open()?;
            redirect.cookie_on(&cookie, key.as_ref())?;
            said(&mut redirect, json)
        }
        CookieCommand::Off => {
            let mut redirect = Redirect::open_loaded()?;
            redirect.cookie_off()?;
            said(&mut redirect, json)
        }
        CookieCommand::Status => status(&mut Redirect::open_loaded()?, json),
    }
}

/// What the command line asks for, if it can be.
fn read(on: &On) -> Result<(Cookie, Option<CookieKey>), Failure> {
    let layout = Layout::new(on.bits, None);
    if !layout.is_some_and(|layout| layout.has(on.id)) {
        return Err(Failure::Message(format!(
            "there is no id {} of {} bits: give a smaller id, or more bits to the whole fleet",
            on.id, on.bits
        )));
    }
    let key = on.key_file.as_deref().map(key).transpose()?;
    let cookie = Cookie {
        id: on.id,
        bits: on.bits,
        keyed: key.is_some(),
    };
    Ok((cookie, key))
}

/// The key in a file.
fn key(file: &Path) -> Result<CookieKey, Failure> {
    let text = std::fs::read(file).map_err(|error| Failure::file(file, &error))?;
    parse(text.trim_ascii()).ok_or_else(|| {
        Failure::Message(format!(
            "{}: a key is 32 hexadecimal digits: openssl rand -hex 16 makes one",
            file.display()
        ))
    })
}

fn parse(text: &[u8]) -> Option<CookieKey> {
    let mut key = CookieKey::default();
    if text.len() != key.len() * 2 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(key)
}

/// No news is good news, except to a program.
fn said(redirect: &mut Redirect, json: bool) -> Result<(), Failure> {
    if json {
        return status(redirect, json);
    }
    Ok(())
}

fn status(redirect: &mut Redirect, json: bool) -> Result<(), Failure> {
    let cookie = redirect.cookie()?;
    let view = CookieView {
        enabled: cookie.is_some(),
        id: cookie.map(|cookie| cookie.id),
        bits: cookie.map(|cookie| cookie.bits),
        keyed: cookie.map(|cookie| cookie.keyed),
    };
    print(json, &view, |out| match cookie {
        None => writeln!(out, "off"),
        Some(Cookie { id, bits, keyed }) => {
            let key = if keyed { "with a key" } else { "without a key" };
            let window = Layout::new(bits, None).map_or(0, |layout| layout.window() / 1000);
            writeln!(
                out,
                "on: id {id} of {bits} bits, {key}; echoes are good for {window} s"
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let text = b"000102030405060708090a0b0c0d0eFf";
        let mut key: CookieKey = core::array::from_fn(|n| u8::try_from(n).expect("small"));
        key[15] = 0xff;
        assert_eq!(parse(text), Some(key));
        for bad in [
            &b""[..],
            b"00",
            b"000102030405060708090a0b0c0d0e0",
            b"000102030405060708090a0b0c0d0e0ff",
            b"000102030405060708090a0b0c0d0e0g",
            b"+0102030405060708090a0b0c0d0e0ff",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ids_fit_their_bits() {
        let on = |id, bits| {
            read(&On {
                id,
                bits,
                key_file: None,
            })
        };
        assert!(on(255, 8).is_ok() && on(4095, 12).is_ok());
        let error = on(256, 8).expect_err("too large").text();
        assert!(error.contains("no id 256 of 8 bits"), "{error}");
    }
}
