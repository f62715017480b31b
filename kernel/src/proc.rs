// SPDX-License-Identifier: GPL-2.0

//! Read-only files below `/proc`, whose content is about a network namespace.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/seq_file.h`

use crate::bindings;
use crate::net::{Net, NetState, Registered};
use core::marker::PhantomData;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;

/// What a file shows.
pub trait Show: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// Name of the file.
    const NAME: &'static CStr;
    /// Writes the content.
    fn show(state: &Self::State, file: &SeqFile);
}

/// `/proc/net/NAME`, in one namespace. It must be part of that namespace's [`NetState::Files`].
pub struct PerNetFile<S: Show> {
    /// INVARIANT: the namespace in whose area this object is kept, so it outlives the object.
    net: *mut bindings::net,
    _show: PhantomData<S>,
}

// SAFETY: The pointer is only passed on to procfs, which does its own locking.
unsafe impl<S: Show> Send for PerNetFile<S> {}
// SAFETY: As above.
unsafe impl<S: Show> Sync for PerNetFile<S> {}

impl<S: Show> PerNetFile<S> {
    /// Creates the file. To be called from [`NetState::show`] only, for what it returns.
    pub fn new(net: &Net) -> Result<Self> {
        // SAFETY: The namespace is live, the name is a C string, and the callback fits.
        to_result(unsafe {
            bindings::glb_proc_create_net(net.as_ptr(), S::NAME.as_char_ptr(), Some(show_net::<S>))
        })?;
        Ok(Self {
            net: net.as_ptr(),
            _show: PhantomData,
        })
    }
}

impl<S: Show> Drop for PerNetFile<S> {
    fn drop(&mut self) {
        // SAFETY: The file exists; removal waits for readers.
        unsafe { bindings::glb_proc_remove_net(self.net, S::NAME.as_char_ptr()) };
    }
}

/// `/proc/NAME`, showing the namespace of the process that reads it.
pub struct File<S: Show>(PhantomData<S>);

impl<S: Show> File<S> {
    /// Creates the file.
    pub fn new(_registered: Registered<S::State>) -> Result<Self> {
        // SAFETY: The name is a C string, and the callback fits.
        to_result(unsafe {
            bindings::glb_proc_create(S::NAME.as_char_ptr(), Some(show_current::<S>))
        })?;
        Ok(Self(PhantomData))
    }
}

impl<S: Show> Drop for File<S> {
    fn drop(&mut self) {
        // SAFETY: The file exists; removal waits for readers.
        unsafe { bindings::remove_proc_entry(S::NAME.as_char_ptr(), core::ptr::null_mut()) };
    }
}

unsafe extern "C" fn show_net<S: Show>(
    file: *mut bindings::seq_file,
    _: *mut kernel::ffi::c_void,
) -> kernel::ffi::c_int {
    // SAFETY: The seq_file is valid during the call, and an open file holds its namespace.
    let net = unsafe { Net::from_ptr(bindings::glb_seq_file_net(file)) };
    // SAFETY: As above.
    unsafe { show::<S>(net, file) }
}

unsafe extern "C" fn show_current<S: Show>(
    file: *mut bindings::seq_file,
    _: *mut kernel::ffi::c_void,
) -> kernel::ffi::c_int {
    // SAFETY: A process that reads has a namespace, and keeps it while it is in this system call.
    let net = unsafe { Net::from_ptr(bindings::glb_current_net()) };
    // SAFETY: As above.
    unsafe { show::<S>(net, file) }
}

/// # Safety
///
/// `file` must be valid and only used by the caller, and a file of the module must be open.
unsafe fn show<S: Show>(net: &Net, file: *mut bindings::seq_file) -> kernel::ffi::c_int {
    // SAFETY: Files exist only while the registration of their state stands, and procfs waits for
    // readers when they are removed.
    let registered = unsafe { Registered::new() };
    // SAFETY: Promised by the caller.
    S::show(net.state(registered), unsafe { SeqFile::from_raw(file) });
    0
}
