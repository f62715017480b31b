// SPDX-License-Identifier: GPL-2.0

//! A generic netlink socket that talks to one family.

use crate::error::{Error, Refusal};
use crate::names::Family;
use crate::wire::{
    messages, Attrs, Message, Request, NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER, NLM_F_ACK,
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR,
};
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE, NETLINK_SOCK_DIAG};
use netlink_sys::SocketAddr;
use std::io;

/// The family that knows the others (`GENL_ID_CTRL`), its command and attributes.
const CONTROLLER: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;

/// What an error says beyond its number (`enum nlmsgerr_attrs`).
const ERR_MSG: u16 = 1;
const ERR_OFFSET: u16 = 2;
const ERR_MISS_TYPE: u16 = 5;
const ERR_MISS_NEST: u16 = 6;

/// How often a list is read anew that was changed while it was read.
const DUMP_TRIES: usize = 10;
/// Room for one datagram; the kernel's are smaller.
const RECEIVE: usize = 128 * 1024;

/// A socket, and the family that it talks to.
pub struct Socket {
    inner: netlink_sys::Socket,
    family: u16,
    /// Nothing while the controller is asked.
    names: Option<&'static Family>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket and asks the kernel for the family, by its name. A kernel that does not know it asks
    /// modprobe for the module with the family's alias, so this loads modules; [`Error::NoFamily`] if that
    /// does not help either.
    pub fn open(family: &'static Family) -> Result<Self, Error> {
        let mut socket = Self::unnamed()?;
        let (id, _) = socket.find(family, None)?;
        socket.family = id;
        socket.names = Some(family);
        Ok(socket)
    }

    /// As [`Self::open`], but never loads a module: it looks through the list of the families that are there.
    pub fn open_loaded(family: &'static Family) -> Result<Self, Error> {
        let mut socket = Self::unnamed()?;
        let (id, _) = socket.find_loaded(family, None)?;
        socket.family = id;
        socket.names = Some(family);
        Ok(socket)
    }

    /// Opens a socket that listens to a multicast group of the family. Loads no module.
    pub fn listen(family: &'static Family, group: &str) -> Result<Self, Error> {
        let mut socket = Self::unnamed()?;
        let (id, group) = socket.find_loaded(family, Some(group))?;
        socket.family = id;
        socket.names = Some(family);
        let group = group.ok_or(Error::Answer("the family has no such multicast group"))?;
        socket.inner.add_membership(group)?;
        Ok(socket)
    }

    /// Opens a socket to the kernel's devices, addresses and routes.
    pub(crate) fn routes() -> Result<Self, Error> {
        Self::of(NETLINK_ROUTE)
    }

    /// The same, whose lists the kernel filters by what their requests say.
    pub(crate) fn filtered_routes() -> Result<Self, Error> {
        let socket = Self::of(NETLINK_ROUTE)?;
        socket.inner.set_netlink_get_strict_chk(true)?;
        Ok(socket)
    }

    /// Opens a socket that hears of changes to what these groups are about.
    pub(crate) fn hear_routes(groups: &[u32]) -> Result<Self, Error> {
        let socket = Self::of(NETLINK_ROUTE)?;
        for group in groups {
            socket.inner.add_membership(*group)?;
        }
        Ok(socket)
    }

    /// Opens a socket to the kernel's list of sockets.
    pub(crate) fn sock_diag() -> Result<Self, Error> {
        Self::of(NETLINK_SOCK_DIAG)
    }

    fn unnamed() -> Result<Self, Error> {
        Self::of(NETLINK_GENERIC)
    }

    fn of(protocol: isize) -> Result<Self, Error> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        inner.bind_auto()?;
        inner.connect(&SocketAddr::new(0, 0))?;
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        Ok(Self {
            inner,
            family: CONTROLLER,
            names: None,
            sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// The numbers of a family and of one of its groups.
    fn find(
        &mut self,
        family: &'static Family,
        group: Option<&str>,
    ) -> Result<(u16, Option<u32>), Error> {
        let mut request = Request::new(CTRL_CMD_GETFAMILY, 1, 0);
        request.text(CTRL_ATTR_FAMILY_NAME, family.name);
        let mut found = None;
        let asked = self.ask(request, |attrs| found = Some(numbers(attrs, group)));
        match asked {
            Err(Error::Refused(Refusal {
                errno: Refusal::NOT_FOUND,
                ..
            })) => Err(Error::NoFamily(family)),
            Err(error) => Err(error),
            Ok(()) => found.ok_or(Error::Answer("no answer about the family")),
        }
    }

    /// The same, from the list of all families.
    fn find_loaded(
        &mut self,
        family: &'static Family,
        group: Option<&str>,
    ) -> Result<(u16, Option<u32>), Error> {
        let mut found = None;
        let request = Request::new(CTRL_CMD_GETFAMILY, 1, 0);
        self.list(&request, |_, attrs| {
            if attrs.text(CTRL_ATTR_FAMILY_NAME) == family.name {
                found = Some(numbers(attrs, group));
            }
        })?;
        found.ok_or(Error::NoFamily(family))
    }

    /// Sends a request; `each` is called with the attributes of each answer. Returns once the kernel has
    /// said that all is done.
    pub fn ask(&mut self, request: Request, mut each: impl FnMut(Attrs<'_>)) -> Result<(), Error> {
        let family = self.family;
        self.exchange(family, request, NLM_F_ACK, |message| each(message.attrs()))
            .map(|_| ())
    }

    /// As [`Self::ask`] and [`Self::list`], of a protocol whose messages have types of their own.
    pub(crate) fn typed(
        &mut self,
        kind: u16,
        request: &Request,
        list: bool,
        mut each: impl FnMut(bool, &Message<'_>),
    ) -> Result<(), Error> {
        let flags = if list { NLM_F_DUMP } else { NLM_F_ACK };
        for _ in 0..DUMP_TRIES {
            let mut first = true;
            let interrupted = self.exchange(kind, request.clone(), flags, |message| {
                each(first, message);
                first = false;
            })?;
            if !interrupted {
                return Ok(());
            }
        }
        Err(Error::Answer("the list changes faster than it can be read"))
    }

    /// Sends a request that has one answer, which `read` makes something of.
    pub fn one<T>(
        &mut self,
        request: Request,
        mut read: impl FnMut(Attrs<'_>) -> T,
    ) -> Result<T, Error> {
        let mut answer = None;
        self.ask(request, |attrs| answer = Some(read(attrs)))?;
        answer.ok_or(Error::Answer("the kernel gave no answer"))
    }

    /// Sends a request for a list. A list that changes while it is read is read anew; `each` gets the
    /// items, and true with the first one of each attempt.
    pub fn list(
        &mut self,
        request: &Request,
        mut each: impl FnMut(bool, Attrs<'_>),
    ) -> Result<(), Error> {
        let family = self.family;
        self.typed(family, request, true, |first, message| {
            each(first, message.attrs());
        })
    }

    /// Sends bytes as they are, as a tester does; what the kernel answers is left for [`Self::drain`].
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inner.send(bytes, 0)?;
        Ok(())
    }

    /// Throws away what has arrived; returns how many messages that were.
    pub fn drain(&mut self) -> Result<usize, Error> {
        self.inner.set_non_blocking(true)?;
        let mut count = 0;
        loop {
            match self.receive() {
                Ok(bytes) => count += messages(&bytes).count(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Messages were lost, as nobody read them.
                Err(error) if error.raw_os_error() == Some(105) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.inner.set_non_blocking(false)?;
        Ok(count)
    }

    /// The number of the family.
    #[must_use]
    pub fn family(&self) -> u16 {
        self.family
    }

    /// Waits for a notification; `each` gets the command and the attributes.
    pub fn wait(&mut self, mut each: impl FnMut(u8, Attrs<'_>)) -> Result<(), Error> {
        let bytes = self.receive()?;
        for message in messages(&bytes).filter(|message| message.kind == self.family) {
            if let Some(command) = message.command() {
                each(command, message.attrs());
            }
        }
        self.buffer = bytes;
        Ok(())
    }

    /// Waits for messages of any kind.
    pub(crate) fn hear(&mut self, mut each: impl FnMut(&Message<'_>)) -> io::Result<()> {
        let bytes = self.receive()?;
        for message in messages(&bytes) {
            each(&message);
        }
        self.buffer = bytes;
        Ok(())
    }

    /// True if the answer is a list that was changed in between.
    fn exchange(
        &mut self,
        kind: u16,
        mut request: Request,
        flags: u16,
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<bool, Error> {
        request.add_flags(flags);
        self.sequence = self.sequence.wrapping_add(1);
        let sent = request.finish(kind, self.sequence);
        let length = self.inner.send(&sent, 0)?;
        if length != sent.len() {
            return Err(Error::Answer("a request was sent in part"));
        }
        let mut interrupted = false;
        loop {
            let bytes = self.receive()?;
            for message in messages(&bytes) {
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        return match error_code(&message) {
                            0 => Ok(interrupted),
                            code => Err(Error::Refused(refusal(self.names, &sent, code, &message))),
                        };
                    }
                    _ => each(&message),
                }
            }
            self.buffer = bytes;
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.reserve(RECEIVE);
        loop {
            match self.inner.recv(&mut buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(buffer),
            }
        }
    }
}

/// The number of an error, positive; 0 in an acknowledgement.
fn error_code(message: &Message<'_>) -> i32 {
    message
        .payload
        .first_chunk()
        .map_or(0, |code| i32::from_ne_bytes(*code).wrapping_neg())
}

/// From the controller's answer, the numbers of a family and of one of its groups.
fn numbers(attrs: Attrs<'_>, group: Option<&str>) -> (u16, Option<u32>) {
    let groups = attrs.get(CTRL_ATTR_MCAST_GROUPS);
    let number = groups.and_then(|groups| {
        let mut groups = groups.nested().map(|group| group.nested());
        groups
            .find(|one| Some(&*one.text(CTRL_ATTR_MCAST_GRP_NAME)) == group)
            .map(|one| one.u32(CTRL_ATTR_MCAST_GRP_ID))
    });
    (attrs.u16(CTRL_ATTR_FAMILY_ID), number)
}

/// What the kernel says about a request that it refused; `names` of the family that was asked.
fn refusal(names: Option<&Family>, sent: &[u8], errno: i32, message: &Message<'_>) -> Refusal {
    let mut refusal = Refusal {
        command: names.map_or_else(
            || "the list of families".to_owned(),
            |names| names.command_name(sent[NLMSG_HEADER]),
        ),
        errno,
        message: None,
        attribute: None,
    };
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return refusal;
    }
    // The number, then in an error the request or its header, then the attributes.
    let skipped = if message.kind == NLMSG_DONE {
        4
    } else if message.flags & NLM_F_CAPPED != 0 {
        4 + NLMSG_HEADER
    } else {
        4 + sent.len().next_multiple_of(4)
    };
    let attrs = Attrs(message.payload.get(skipped..).unwrap_or_default());
    refusal.message = attrs.get(ERR_MSG).map(|attr| attr.text());
    let Some(names) = names else {
        return refusal;
    };
    if let Some(attr) = attrs.get(ERR_OFFSET) {
        refusal.attribute = names.at(sent, usize::try_from(attr.number()).unwrap_or(0));
    }
    if attrs.get(ERR_MISS_TYPE).is_some() {
        let nest = attrs.get(ERR_MISS_NEST).map(|nest| nest.number());
        let nest = nest.and_then(|nest| usize::try_from(nest).ok());
        refusal.attribute = names.missing(sent, nest, attrs.u16(ERR_MISS_TYPE));
    }
    refusal
}
