//! How the programs of this crate allocate: an allocator is the binary's choice, not the library's.

#![allow(unsafe_code, reason = "an option of the allocator is set through its C interface")]

/// `mi_option_purge_delay`: after how many milliseconds free pages go back to the operating system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps memory that was freed for what comes next. By default it is given back after 10 ms, and a
/// store that frees as much as it allocates pays the kernel for clearing the same pages again and
/// again. A service that embeds the grid may set `MIMALLOC_PURGE_DELAY=-1` to the same end.
pub fn keep_freed_memory() {
    // SAFETY: the function takes two integers, and may be called at any time on any thread; an option
    // that it does not know does nothing.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
