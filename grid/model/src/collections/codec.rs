//! The collections as serde data, as archives and as states.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use rkyv::collections::util::{Entry, EntryAdapter};
use rkyv::rancor::Fallible;
use rkyv::ser::{Allocator, Writer};
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Place};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{List, Map, Set};
use crate::diff::DiffOut;
use crate::{Key, Schema, Size, State};

/// The most elements without a size that are decoded: their number costs the sender nothing.
const MAX_UNSIZED: usize = 1 << 20;

fn check_len<T, E: Error>(len: usize) -> Result<(), E> {
    if size_of::<T>() == 0 && len > MAX_UNSIZED {
        return Err(E::custom(format_args!(
            "expected at most {MAX_UNSIZED} elements of a type without content, got more"
        )));
    }
    Ok(())
}

macro_rules! sequence {
    ($name:ident, $bound:ident, $add:ident, $size:ident, $resize:ident, $diff:ident, $what:literal $(, $spans:ident)?) => {
        impl<T: $bound> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self)
            }
        }

        impl<'de, T: $bound> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Elements<T>(PhantomData<T>);

                impl<'de, T: $bound> Visitor<'de> for Elements<T> {
                    type Value = $name<T>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_seq<A: SeqAccess<'de>>(
                        self,
                        mut seq: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut all = $name::new();
                        let mut count = 0;
                        while let Some(element) = seq.next_element()? {
                            count += 1;
                            check_len::<T, A::Error>(count)?;
                            all.$add(element);
                        }
                        Ok(all)
                    }
                }

                deserializer.deserialize_seq(Elements(PhantomData))
            }
        }

        impl<T: $bound + Archive> Archive for $name<T> {
            type Archived = ArchivedVec<T::Archived>;
            type Resolver = VecResolver;

            fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
                ArchivedVec::resolve_from_len(self.len(), resolver, out);
            }
        }

        impl<T, S> rkyv::Serialize<S> for $name<T>
        where
            T: $bound + rkyv::Serialize<S>,
            S: Fallible + Allocator + Writer + ?Sized,
        {
            fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
                let elements = Exact { left: self.len(), iter: self.iter() };
                ArchivedVec::serialize_from_iter::<T, _, _>(elements, serializer)
            }
        }

        impl<T, D> rkyv::Deserialize<$name<T>, D> for ArchivedVec<T::Archived>
        where
            T: $bound + Archive<Archived: rkyv::Deserialize<T, D>>,
            D: Fallible + ?Sized,
        {
            fn deserialize(&self, deserializer: &mut D) -> Result<$name<T>, D::Error> {
                self.iter().map(|element| element.deserialize(deserializer)).collect()
            }
        }

        impl<T: $bound> State for $name<T> {
            const QUICK: bool = T::FIXED;
            const REFLEXIVE: bool = T::REFLEXIVE;

            fn schema() -> Schema {
                Schema::$name(Box::new(T::schema()))
            }

            fn size(&self) -> Size {
                super::size::$size(self)
            }

            fn resize(&self, was: &Self, size: &mut Size) {
                super::size::$resize(self, was, size);
            }

            fn is_same(&self, other: &Self) -> bool {
                self.is_same(other)
            }

            fn diff(&self, old: &Self, out: &mut DiffOut) {
                super::changes::$diff(old, self, out);
            }

            $(fn spans(&self) -> [Range<*const u8>; 3] {
                self.$spans()
            })?
        }

        crate::__blob_root!([T: $bound] $name<T>);
    };
}

sequence!(List, State, push_back, size_of_list, resize_list, list, "a list", spans);
sequence!(Set, Key, insert, size_of_set, resize_set, set, "a set");

/// An iterator over a known number of elements, which archives ask for.
#[derive(Clone)]
struct Exact<I> {
    iter: I,
    left: usize,
}

impl<I: Iterator> Iterator for Exact<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.iter.next()?;
        self.left = self.left.saturating_sub(1);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator> ExactSizeIterator for Exact<I> {}

impl<K: Key, V: State> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = self.as_plain();
        if serializer.is_human_readable() && !K::schema().is_name() {
            return serializer.collect_seq(plain.iter());
        }
        serializer.collect_map(plain.iter())
    }
}

impl<'de, K: Key, V: State> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() && !K::schema().is_name() {
            return deserializer.deserialize_seq(Entries(PhantomData));
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Key, V: State> Visitor<'de> for Entries<K, V> {
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, or an array of pairs where its keys are no names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Map::new();
        let mut count = 0;
        while let Some((key, value)) = entries.next_entry()? {
            count += 1;
            check_len::<(K, V), A::Error>(count)?;
            all.insert(key, value);
        }
        Ok(all)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, value)) = entries.next_element()? {
            all.insert(key, value);
        }
        Ok(all)
    }
}

impl<K: Key, V: State> Archive for Map<K, V> {
    type Archived = ArchivedVec<Entry<K::Archived, V::Archived>>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_len(self.as_plain().len(), resolver, out);
    }
}

impl<K, V, S> rkyv::Serialize<S> for Map<K, V>
where
    K: Key + rkyv::Serialize<S>,
    V: State + rkyv::Serialize<S>,
    S: Fallible + Allocator + Writer + ?Sized,
{
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        let plain = self.as_plain();
        let adapters =
            plain.iter().map(|(key, value)| EntryAdapter::<&K, &V, K, V>::new(key, value));
        let entries = Exact { left: plain.len(), iter: adapters };
        ArchivedVec::serialize_from_iter::<EntryAdapter<&K, &V, K, V>, _, _>(entries, serializer)
    }
}

impl<K, V, D> rkyv::Deserialize<Map<K, V>, D> for ArchivedVec<Entry<K::Archived, V::Archived>>
where
    K: Key + Archive<Archived: rkyv::Deserialize<K, D>>,
    V: State + Archive<Archived: rkyv::Deserialize<V, D>>,
    D: Fallible + ?Sized,
{
    fn deserialize(&self, deserializer: &mut D) -> Result<Map<K, V>, D::Error> {
        let mut entry = |entry: &Entry<K::Archived, V::Archived>| {
            Ok((entry.key.deserialize(deserializer)?, entry.value.deserialize(deserializer)?))
        };
        self.iter().map(&mut entry).collect()
    }
}

impl<K: Key, V: State> State for Map<K, V> {
    const QUICK: bool = K::FIXED && V::FIXED;
    const REFLEXIVE: bool = V::REFLEXIVE;

    fn schema() -> Schema {
        Schema::Map(Box::new(K::schema()), Box::new(V::schema()))
    }

    fn size(&self) -> Size {
        super::size::size_of_map(&self.as_plain())
    }

    fn resize(&self, was: &Self, size: &mut Size) {
        super::size::resize_map(&self.as_plain(), &was.as_plain(), size);
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is_same(other)
    }

    fn diff(&self, old: &Self, out: &mut DiffOut) {
        crate::diff::maps(&old.as_plain(), &self.as_plain(), out);
    }
}
