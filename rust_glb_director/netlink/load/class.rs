// SPDX-License-Identifier: GPL-2.0

//! `class-set`: the words of compiled classes, in order. What they say is looked at when all are there, behind all
//! tables: here, and by `table-commit`.

#![forbid(unsafe_code)]

use super::commit::check_classes;
use super::{attr, change};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::memory::gfp;
use glb_core::netlink::glb::operation;
use glb_kernel::base::vec::Append;
use glb_kernel::genl::{Command, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// `class-set`
pub(in crate::netlink) struct ClassSet;

impl Command for ClassSet {
    type Family = Family;
    const SPEC: Spec = operation::CLASS_SET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        change(state, request, |load, request| {
            let first = request.require(attr::FIRST_WORD)?;
            let words = request.require(attr::WORDS)?;
            let next = load.classes.len();
            if first.u32()? as usize != next {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&first),
                    "words of classes come in order: the next one is {next}"
                ));
            }
            let bytes = words.bytes();
            let len = bytes.len();
            if len == 0 || len % WORD != 0 {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&words),
                    "{len} bytes are not whole words of {WORD}"
                ));
            }
            let (end, most) = (next.saturating_add(len / WORD), load.promise.class_words);
            if end > most {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&words),
                    "words of classes up to {end}: {most} were promised"
                ));
            }
            // The room is there since the load began.
            let mut left = bytes;
            while let Some((word, rest)) = left.split_first_chunk::<WORD>() {
                load.classes.append(u32::from_ne_bytes(*word), gfp())?;
                left = rest;
            }
            // Looked at here too, so that a load that is only tried is judged. Of another order table-commit judges.
            let promise = &load.promise;
            let is_last = end == promise.class_words && load.tables.len() == promise.tables;
            match is_last {
                true => check_classes(load, request),
                false => Ok(()),
            }
        })
    }
}

/// Bytes of a word.
const WORD: usize = 4;
