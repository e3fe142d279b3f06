//! Telling the processor what will be read soon, so that a batch waits for the memory of many entries
//! at once, and works meanwhile. The one place of this crate that needs `unsafe`.
#![expect(unsafe_code, reason = "a prefetch takes an address, not a reference")]

use std::ops::Range;

use gridmill_model::State;

/// So many of a sequence before its turn, one is asked for.
pub(super) const AHEAD: usize = 16;

/// Bytes that the processor brings at a time.
const LINE: usize = 64;

/// Of longer spans only so many bytes are asked for: the processor sees by itself how it goes on.
const SPAN_MAX: usize = 32 * LINE;

/// Asks for the memory at an address; returns at once, and changes nothing. It goes to the second level of
/// the cache: what is asked for some records ahead would push itself out of the first.
#[inline]
pub(super) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: it is a hint: nothing is read or written as far as the program can see, and an
        // address that is not mapped is ignored. Every x86-64 processor has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above: a hint, which reads and writes nothing as far as the program can see.
    unsafe {
        std::arch::asm!(
            "prfm pldl2keep, [{address}]",
            address = in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// Asks for all of a value.
#[inline]
pub(super) fn prefetch_value<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        prefetch(start.wrapping_add(offset));
    }
    // It need not begin with a line.
    prefetch(start.wrapping_add(size_of::<T>().saturating_sub(1)));
}

/// Asks for what a value holds elsewhere.
#[inline]
pub(super) fn prefetch_held<V: State>(value: &V) {
    value.spans().into_iter().for_each(prefetch_span);
}

/// Asks for a span of memory.
#[inline]
fn prefetch_span(span: Range<*const u8>) {
    let first = span.start.addr() & !(LINE - 1);
    let len = span.end.addr().saturating_sub(first).min(SPAN_MAX);
    for offset in (0..len).step_by(LINE) {
        prefetch(span.start.with_addr(first + offset));
    }
}
