//! Archived values in place: each part is checked and decoded when it is asked for.
//!
//! A value's archive is what rkyv lays out, with the root at its end. This finds parts by the same layout:
//! fields at their offsets, elements of a sequence where its pointer leads, texts likewise. What is
//! decoded in the end is checked by rkyv first, as a whole archive is. So a part costs what it is, and not what
//! the value is; and bytes that nobody asked for are not even read.

use std::any::Any;
use std::fmt;

use super::Damaged;
use crate::State;
use crate::archive::Failure;

/// The bytes of an archived value, and who vouches for them.
#[derive(Clone, Copy)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    keeper: &'a (dyn Any + Send + Sync),
    verify: fn(&(dyn Any + Send + Sync), &[u8]) -> Result<(), Damaged>,
    broken: fn(&(dyn Any + Send + Sync), String) -> Damaged,
}

impl<'a> Archive<'a> {
    /// An archive whose parts `verify` makes sure of before they are read: it is given the keeper and the part.
    /// `broken` names what cannot be read although its bytes are as they were written.
    pub fn new(
        bytes: &'a [u8],
        keeper: &'a (dyn Any + Send + Sync),
        verify: fn(&(dyn Any + Send + Sync), &[u8]) -> Result<(), Damaged>,
        broken: fn(&(dyn Any + Send + Sync), String) -> Damaged,
    ) -> Self {
        Self { bytes, keeper, verify, broken }
    }

    /// The archived value of type `T`; `None` where it does not lie as aligned as it has to be, or where the
    /// type is one that is decoded as a whole.
    pub fn root<T: State>(self) -> Option<Cold<'a>> {
        let at = self.bytes.len().checked_sub(size_of::<T::Archived>())?;
        let aligned = self.bytes.as_ptr().align_offset(align_of::<T::Archived>()) == 0
            && at % align_of::<T::Archived>() == 0;
        (T::IN_PLACE && aligned).then_some(Cold { archive: self, at })
    }
}

impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A part of an archived value: what lies at one place of it.
#[derive(Clone, Copy)]
pub struct Cold<'a> {
    archive: Archive<'a>,
    at: usize,
}

impl<'a> Cold<'a> {
    /// The part that begins `offset` bytes behind this one.
    #[must_use]
    pub fn behind(self, offset: usize) -> Self {
        Self { at: self.at.saturating_add(offset), ..self }
    }

    /// `len` bytes of this part, verified.
    ///
    /// # Errors
    /// The bytes are damaged, or not there.
    pub fn bytes(self, len: usize) -> Result<&'a [u8], Damaged> {
        let bytes = self.at.checked_add(len).and_then(|end| self.archive.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.broken("a part lies outside of its value"))?;
        (self.archive.verify)(self.archive.keeper, bytes)?;
        Ok(bytes)
    }

    /// A number of four bytes that begins `offset` bytes behind this part.
    fn word(self, offset: usize) -> Result<[u8; 4], Damaged> {
        let bytes = self.behind(offset).bytes(4)?;
        bytes.try_into().map_err(|_| self.broken("a number is cut off"))
    }

    /// Where the elements of an archived sequence begin, and how many there are. Each takes `size` bytes.
    ///
    /// # Errors
    /// The bytes are damaged, or no sequence.
    pub fn elements(self, size: usize) -> Result<(Self, usize), Damaged> {
        let (offset, len) = (i32::from_le_bytes(self.word(0)?), u32::from_le_bytes(self.word(4)?));
        let start = self.at.checked_add_signed(offset as isize);
        let start = start.ok_or_else(|| self.broken("a sequence begins before its value"))?;
        let end = (len as usize).checked_mul(size).and_then(|bytes| start.checked_add(bytes));
        if end.is_none_or(|end| end > self.archive.bytes.len()) {
            return Err(self.broken("a sequence reaches beyond its value"));
        }
        Ok((Self { at: start, ..self }, len as usize))
    }

    /// The content of an archived `Option<T>`, if there is any.
    ///
    /// # Errors
    /// The bytes are damaged, or no `Option`.
    pub fn content<T: State>(self) -> Result<Option<Self>, Damaged> {
        match self.bytes(1)? {
            [0] => Ok(None),
            // The content lies behind the mark, where it is aligned.
            [1] => Ok(Some(self.behind(align_of::<T::Archived>()))),
            _ => Err(self.broken("an `Option` is neither `None` nor `Some`")),
        }
    }

    /// Makes sure of the text of an archived string: it may lie apart.
    ///
    /// # Errors
    /// The bytes are damaged, or no string.
    pub fn fetch_text(self) -> Result<(), Damaged> {
        let mark = u32::from_le_bytes(self.word(0)?);
        let offset = i32::from_le_bytes(self.word(4)?);
        if mark & 0xc0 != 0x80 {
            return Ok(());
        }
        let len = (mark & 0x3f) | ((mark & !0xff) >> 2);
        let start = self.at.checked_add_signed(offset as isize);
        let start = start.ok_or_else(|| self.broken("a text begins before its value"))?;
        Self { at: start, ..self }.bytes(len as usize).map(drop)
    }

    /// How many bytes the whole value takes.
    pub fn len_of_all(self) -> usize {
        self.archive.bytes.len()
    }

    /// Makes sure of the whole value that this is a part of.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn verify_all(self) -> Result<(), Damaged> {
        (self.archive.verify)(self.archive.keeper, self.archive.bytes)
    }

    /// Decodes this part.
    ///
    /// # Errors
    /// The bytes are damaged, or none of this type.
    pub fn decode<T: State>(self) -> Result<T, Damaged> {
        T::fetch(self)?;
        let archived =
            rkyv::api::low::access_pos::<T::Archived, Failure>(self.archive.bytes, self.at);
        let archived = archived.map_err(|error| self.broken(&error.to_string()))?;
        rkyv::api::low::deserialize(archived)
            .map_err(|error: Failure| self.broken(&error.to_string()))
    }

    #[cold]
    fn broken(self, what: &str) -> Damaged {
        (self.archive.broken)(self.archive.keeper, what.to_owned())
    }
}

impl fmt::Debug for Cold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cold").field("at", &self.at).finish_non_exhaustive()
    }
}
