//! The size of a value as slots and versions keep it.

use gridmill_model::{Size, State};

/// A [`Size`] in half the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    heap: u32,
    archive: u32,
}

impl Room {
    /// That of a value, which is looked through unless its type says that it need not be.
    pub(crate) fn of<V: State>(value: Option<&V>) -> Self {
        value.map(V::size).into()
    }

    /// That of `now`, which was made from a clone of `was`, whose room this is.
    pub(crate) fn resized<V: State>(self, now: Option<&V>, was: Option<&V>) -> Self {
        let (Some(now), Some(was)) = (now, was) else { return Self::of(now) };
        let (heap, archive) = (self.heap as usize, self.archive as usize);
        let mut size = Size { heap, archive };
        now.resize(was, &mut size);
        Some(size).into()
    }

    /// Bytes of memory outside of the value.
    pub(crate) fn heap(self) -> usize {
        self.heap as usize
    }

    /// How many bytes the archive of a value of this size takes at most.
    pub(crate) fn archive_len<V: State>(self) -> usize {
        V::archive_len(Size { heap: 0, archive: self.archive as usize })
    }
}

/// More than 4 GiB is as much as that: no value that is kept has so much.
impl From<Option<Size>> for Room {
    fn from(size: Option<Size>) -> Self {
        let Size { heap, archive } = size.unwrap_or_default();
        let short = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { heap: short(heap), archive: short(archive) }
    }
}
