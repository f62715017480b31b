// SPDX-License-Identifier: GPL-2.0

//! Growing the kernel crate's vectors.
//!
//! Its own `push` and `extend_from_slice` calculate with overflow checks, whose panics cannot happen but
//! would stand in the module; the build wants none (`tests/unit/no-panic.sh`).

use core::mem;
use kernel::alloc::{AllocError, Allocator, Flags, Vec};

/// Appending, with memory if need be.
pub trait Append<T> {
    /// Appends a value.
    fn append(&mut self, value: T, flags: Flags) -> Result<(), AllocError>;

    /// Appends values.
    fn append_slice(&mut self, values: &[T], flags: Flags) -> Result<(), AllocError>
    where
        T: Copy;
}

impl<T, A: Allocator> Append<T> for Vec<T, A> {
    fn append(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        if self.len() >= self.capacity() {
            grow(self, 1, flags)?;
        }
        self.push_within_capacity(value).map_err(|_| AllocError)
    }

    fn append_slice(&mut self, values: &[T], flags: Flags) -> Result<(), AllocError>
    where
        T: Copy,
    {
        if self.capacity().saturating_sub(self.len()) < values.len() {
            grow(self, values.len(), flags)?;
        }
        // SAFETY: There is room, and the memory is the vector's alone.
        unsafe { add(self, values.as_ptr(), values.len()) };
        Ok(())
    }
}

/// Makes room for `more` values at least, and doubles the room, so that appending one by one is cheap.
fn grow<T, A: Allocator>(vec: &mut Vec<T, A>, more: usize, flags: Flags) -> Result<(), AllocError> {
    let needed = vec.len().checked_add(more).ok_or(AllocError)?;
    let capacity = needed.max(vec.capacity().saturating_mul(2));
    let mut larger = Vec::with_capacity(capacity, flags)?;
    let (ptr, len, capacity) = mem::take(vec).into_raw_parts();
    // SAFETY: `larger` has room for all. The parts are those of the vector, whose values have been moved:
    // its memory is freed without them.
    unsafe {
        add(&mut larger, ptr, len);
        drop(Vec::<T, A>::from_raw_parts(ptr, 0, capacity));
    }
    *vec = larger;
    Ok(())
}

/// # Safety
///
/// The vector must have room for `len` more values. They are moved from `values`, which must be elsewhere.
unsafe fn add<T, A: Allocator>(vec: &mut Vec<T, A>, values: *const T, len: usize) {
    let (ptr, old, capacity) = mem::take(vec).into_raw_parts();
    // SAFETY: By the requirements, and as the parts are those of the vector; the sum is within the
    // capacity.
    unsafe {
        core::ptr::copy_nonoverlapping(values, ptr.add(old), len);
        *vec = Vec::from_raw_parts(ptr, old.wrapping_add(len), capacity);
    }
}
