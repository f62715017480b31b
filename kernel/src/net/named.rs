// SPDX-License-Identifier: GPL-2.0

//! Network namespaces that have a name, as `ip netns` gives them, and that packets of another namespace ask for sockets.
//!
//! A file below /run/netns shows a namespace and holds it. Here, nothing does: a namespace ends when its last process, socket
//! and file are gone, whoever names it. The module hears of that before the namespace's sockets and tables go ([`ended`]),
//! and the kernel waits for a grace period in between. So a packet, which is under RCU, sees a namespace that stays until the
//! packet is done, or sees that there is none any more.
//!
//! Names, and not files that are open, are what a rule carries: the iptables that is older than nftables gives every rule of a
//! table back to the kernel whenever one of them is changed. A name is resolved when its rule comes. A rule whose name cannot
//! be resolved (any more) is refused, unless another rule of the same namespace has the same name at that time: then it is
//! most likely the same rule that comes once more, since the old table stands until the new one is accepted. It
//! keeps what the name meant. So a namespace that has ended does not keep anybody from changing other rules.
//! A namespace that is made anew under the name is another one: it is found when the rule comes the next time.
//!
//! Contexts: process context, everything may sleep; but packets read ([`Namespaces::asked`]) without any lock.

use super::Net;
use crate::base::rcu::Reader;
use crate::base::vec::Append;
use crate::bindings;
use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use glb_core::redirect::{is_netns_name, MAX_NETNS, NETNS_NAME_LEN};
use kernel::prelude::*;

/// Where the files are that show namespaces.
const DIRECTORY: &[u8] = b"/run/netns/";
/// Bytes of the path of such a file, with a zero at the end.
const PATH_LEN: usize = DIRECTORY.len() + NETNS_NAME_LEN + 1;

/// A namespace that rules name. It exists once for all rules of one namespace that give it the same name.
struct Named {
    /// Null: it has ended. A packet may use it as long as it is under RCU.
    net: AtomicPtr<bindings::net>,
    /// Whose rules they are; only compared, and never followed.
    own: *const bindings::net,
    name: Name,
    /// How many [`Namespaces`] lead here; changed with the list locked.
    users: Cell<usize>,
}

impl Named {
    fn is(&self, own: &Net, name: &Name) -> bool {
        core::ptr::eq(self.own, own.as_ptr()) && self.name == *name
    }
}

type Name = [u8; NETNS_NAME_LEN];

/// All namespaces that any rule names.
struct List(UnsafeCell<KVec<KBox<Named>>>);

// SAFETY: What is in it is only looked at and changed by who holds the lock (`Locked`), but for `Named::net`, which is atomic.
unsafe impl Sync for List {}

static LIST: List = List(UnsafeCell::new(KVec::new()));

/// The list, while nobody else looks at it.
struct Locked(());

impl Locked {
    fn new() -> Self {
        // SAFETY: Process context; given back in `drop`.
        unsafe { bindings::glb_named_lock() };
        Self(())
    }

    fn all(&mut self) -> &mut KVec<KBox<Named>> {
        // SAFETY: The lock is held as long as this object is there, and it lends the list to one at a time.
        unsafe { &mut *LIST.0.get() }
    }

    /// What the rules of `own` know under the name, if anything: the youngest, if `net` is null, and else that namespace.
    fn find(&mut self, own: &Net, name: &Name, net: *mut bindings::net) -> Option<&Named> {
        let mut named = self.all().iter().rev();
        let found = named.find(|named| {
            let now = named.net.load(Ordering::Relaxed);
            named.is(own, name) && (net.is_null() || now == net)
        });
        found.map(|found| &**found)
    }

    /// A new one.
    fn add(&mut self, own: &Net, name: &Name, net: *mut bindings::net) -> Result<&Named, Refused> {
        let named = Named {
            net: AtomicPtr::new(net),
            own: own.as_ptr(),
            name: *name,
            users: Cell::new(0),
        };
        let named = KBox::new(named, GFP_KERNEL_ACCOUNT)?;
        // Out of the static variable: there, the compiler does not see that its length cannot overflow.
        let mut all = core::mem::take(self.all());
        let added = all.append(named, GFP_KERNEL);
        *self.all() = all;
        added?;
        self.all()
            .last()
            .map(|named| &**named)
            .ok_or(Refused::NoMemory)
    }

    /// One user less; with the last one it goes.
    fn release(&mut self, named: NonNull<Named>) {
        let all = self.all();
        let mut tail = all.as_mut_slice();
        let mut found = false;
        // The one wanted goes to the end, from where it is taken. The others keep their order: the youngest of a name is last.
        while let [first, rest @ ..] = { tail } {
            if !found && core::ptr::eq(&raw const **first, named.as_ptr()) {
                first.users.set(first.users.get().wrapping_sub(1));
                if first.users.get() != 0 {
                    return;
                }
                found = true;
            }
            if let ([second, ..], true) = (&mut *rest, found) {
                core::mem::swap(first, second);
            }
            tail = rest;
        }
        if !found {
            return;
        }
        drop(all.pop());
        if all.is_empty() {
            // Nothing of it is left when the module goes.
            *all = KVec::new();
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: Taken by `new`.
        unsafe { bindings::glb_named_unlock() };
    }
}

/// A namespace is about to end: nobody asks it any more once RCU has had a grace period.
pub(super) fn ended(net: &Net) {
    let mut list = Locked::new();
    for named in list.all().iter() {
        if core::ptr::eq(named.net.load(Ordering::Relaxed), net.as_ptr()) {
            named.net.store(core::ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

/// Who wants names to be resolved.
#[derive(Clone, Copy)]
pub struct Caller {
    may_resolve: bool,
}

impl Caller {
    /// The process that changes the rules of `own`. nfnetlink has asked the opener of its socket for CAP_NET_ADMIN in the user
    /// namespace of `own`, which is the initial one, and not for CAP_SYS_ADMIN: only the process is asked for that.
    pub(crate) fn current(own: &Net) -> Self {
        // SAFETY: The namespace is live, and the context is that of a process.
        let may_resolve = unsafe { bindings::glb_named_allowed(own.as_ptr()) };
        Self { may_resolve }
    }

    /// The same, if somebody else also may: who opened the socket that the request came through.
    pub(crate) fn and(self, may: bool) -> Self {
        Self {
            may_resolve: self.may_resolve && may,
        }
    }
}

/// Why a namespace cannot be named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The caller may not.
    NotAllowed,
    /// More than [`MAX_NETNS`].
    TooMany,
    /// No file can have this name.
    BadName,
    /// There is no file.
    Unknown,
    /// The file shows no network namespace.
    NotANamespace,
    /// It is the namespace of the rule.
    Own,
    /// It has been named before.
    Twice,
    /// There is no memory.
    NoMemory,
}

impl Refused {
    /// The number of the error. It is never EAGAIN: nfnetlink tries again for ever what is refused so.
    pub fn error(self) -> Error {
        match self {
            Self::NotAllowed => EPERM,
            Self::TooMany => E2BIG,
            Self::BadName | Self::NotANamespace | Self::Own | Self::Twice => EINVAL,
            Self::Unknown => ENOENT,
            Self::NoMemory => ENOMEM,
        }
    }

    /// What to tell the caller, in at most 79 characters.
    pub fn text(self) -> &'static CStr {
        match self {
            Self::NotAllowed => {
                c"netns needs CAP_SYS_ADMIN and CAP_NET_ADMIN in the initial user namespace"
            }
            Self::TooMany => c"more than 16 network namespaces",
            Self::BadName => c"no name of a network namespace, as 'ip netns' shows it",
            Self::Unknown => c"no network namespace of this name in /run/netns: see 'ip netns'",
            Self::NotANamespace => c"the file of this name in /run/netns is no network namespace",
            Self::Own => c"the network namespace is the own one, which is asked anyway",
            Self::Twice => c"a network namespace is named twice",
            Self::NoMemory => c"no memory",
        }
    }
}

impl From<kernel::alloc::AllocError> for Refused {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::NoMemory
    }
}

/// A namespace with a reference.
struct Resolved(NonNull<bindings::net>);

impl Resolved {
    fn new(name: &Name) -> Result<Self, Refused> {
        let mut path = [0; PATH_LEN];
        let bytes = Iterator::chain(DIRECTORY.iter(), name);
        for (place, byte) in path.iter_mut().zip(bytes) {
            *place = *byte;
        }
        let mut net = core::ptr::null_mut();
        // SAFETY: The path ends with a zero, as a name is shorter than its room; and there is room for the answer.
        let error = unsafe { bindings::glb_named_get(path.as_ptr().cast(), &mut net) };
        match kernel::error::to_result(error) {
            Ok(()) => NonNull::new(net).map(Self).ok_or(Refused::Unknown),
            Err(error) if error == EINVAL => Err(Refused::NotANamespace),
            Err(error) if error == ENOMEM => Err(Refused::NoMemory),
            Err(_) => Err(Refused::Unknown),
        }
    }
}

impl Drop for Resolved {
    fn drop(&mut self) {
        // SAFETY: `new` took the reference.
        unsafe { bindings::glb_named_put(self.0.as_ptr()) };
    }
}

/// The namespaces that a rule names, in its order.
pub struct Namespaces {
    /// INVARIANT: each is in the list, and counts this object among its users.
    named: KVec<NonNull<Named>>,
}

// SAFETY: What it leads to is in the list, which is for all.
unsafe impl Send for Namespaces {}
// SAFETY: As above.
unsafe impl Sync for Namespaces {}

impl Namespaces {
    /// Those with the names, for a rule of `own`. An error tells which name it is about.
    pub fn new<'n>(
        own: &Net,
        caller: Caller,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<Self, (usize, Refused)> {
        let room = KVec::with_capacity(MAX_NETNS, GFP_KERNEL_ACCOUNT);
        let mut this = Self {
            named: room.map_err(|_| (0, Refused::NoMemory))?,
        };
        for name in names {
            let index = this.named.len();
            // What was named before is given back by the drop of `this`.
            this.add(own, caller, name).map_err(|why| (index, why))?;
        }
        Ok(this)
    }

    fn add(&mut self, own: &Net, caller: Caller, name: &[u8]) -> Result<(), Refused> {
        if self.named.len() >= MAX_NETNS {
            return Err(Refused::TooMany);
        }
        if !is_netns_name(name) {
            return Err(Refused::BadName);
        }
        let mut whole: Name = [0; NETNS_NAME_LEN];
        for (place, byte) in whole.iter_mut().zip(name) {
            *place = *byte;
        }
        // The reference is held until the namespace is in the list, so that it does not end unseen in between. And it is
        // given back without the lock.
        let resolved = match caller.may_resolve {
            true => Resolved::new(&whole),
            false => Err(Refused::NotAllowed),
        };
        let mut list = Locked::new();
        let named = match &resolved {
            Ok(Resolved(net)) if core::ptr::eq(net.as_ptr(), own.as_ptr()) => {
                return Err(Refused::Own);
            }
            Ok(Resolved(net)) => match list.find(own, &whole, net.as_ptr()) {
                Some(named) => NonNull::from(named),
                None => NonNull::from(list.add(own, &whole, net.as_ptr())?),
            },
            Err(why) => {
                let known = list.find(own, &whole, core::ptr::null_mut());
                NonNull::from(known.ok_or(*why)?)
            }
        };
        // SAFETY: It is in the list, which is locked.
        let users = unsafe { &named.as_ref().users };
        users.set(users.get().wrapping_add(1));
        let twice = self.named.iter().any(|other| same(*other, named));
        if twice {
            list.release(named);
            return Err(Refused::Twice);
        }
        if self.named.append(named, GFP_KERNEL_ACCOUNT).is_err() {
            list.release(named);
            return Err(Refused::NoMemory);
        }
        drop(list);
        Ok(())
    }

    /// The namespaces, one after the other; `None` for one that has ended.
    #[inline]
    pub fn asked<'a>(&'a self, _rcu: Reader<'a>) -> impl Iterator<Item = Option<&'a Net>> {
        self.named.iter().map(|named| {
            // SAFETY: By the invariant.
            let net = unsafe { named.as_ref() }.net.load(Ordering::Relaxed);
            // SAFETY: A namespace stays for a grace period after `ended` has taken it out, and the reader is under RCU.
            (!net.is_null()).then(|| unsafe { Net::from_ptr(net) })
        })
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.named.iter().map(|named| {
            // SAFETY: By the invariant.
            let name = unsafe { &named.as_ref().name };
            name.split(|byte| *byte == 0).next().unwrap_or_default()
        })
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let mut list = Locked::new();
        for named in &self.named {
            list.release(*named);
        }
    }
}

/// Whether two are one namespace, whatever their names.
fn same(one: NonNull<Named>, other: NonNull<Named>) -> bool {
    // SAFETY: Both are in the list, as long as somebody counts among their users.
    let net = |named: NonNull<Named>| unsafe { named.as_ref() }.net.load(Ordering::Relaxed);
    one == other || (!net(one).is_null() && net(one) == net(other))
}
