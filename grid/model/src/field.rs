//! Names of a record's fields and of an enum's variants, as values.

use std::fmt;
use std::marker::PhantomData;

/// A field of a record, as `#[record]` declares it: `Todo::TEXT`.
///
/// `S` is the record, `F` the field's type, so that a path through it is checked by the compiler.
pub struct Field<S, F> {
    name: &'static str,
    index: u16,
    of: PhantomData<fn(S) -> F>,
}

impl<S, F> Field<S, F> {
    /// Names the field at `index`, counted from 0 in the order of declaration.
    #[doc(hidden)]
    pub const fn new(name: &'static str, index: u16) -> Self {
        Self { name, index, of: PhantomData }
    }

    /// The field's name, as it was declared.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The field's place in the order of declaration, from 0.
    pub const fn index(&self) -> u16 {
        self.index
    }
}

impl<S, F> Clone for Field<S, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F> Copy for Field<S, F> {}

impl<S, F> fmt::Debug for Field<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).field("index", &self.index).finish()
    }
}

/// A variant of an enum, as `#[record]` declares it: `Shape::CIRCLE`.
///
/// `S` is the enum, `F` what the variant holds: the type of its one field, the tuple of its fields, or `()`.
///
/// ```
/// use gridmill_model::prelude::*;
/// # use gridmill_macros::record;
///
/// #[record(crate = gridmill_model)]
/// pub enum Shape {
///     Circle(f64),
///     Rect { w: f64, h: f64 },
/// }
///
/// const SHAPES: PState<Map<Str, Shape>> = PState::new("shapes");
/// let mut shapes = Map::from([("a".into(), Shape::Rect { w: 2.0, h: 3.0 })]);
/// assert_eq!(SHAPES.key("a").variant(Shape::RECT).select(&shapes)?, [(2.0, 3.0)]);
/// assert_eq!(SHAPES.key("a").variant(Shape::CIRCLE).select_one(&shapes)?, None);
/// SHAPES.key("a").variant(Shape::RECT).part::<1>().add(1.0).apply(&mut shapes);
/// assert_eq!(shapes.get("a").as_deref(), Some(&Shape::Rect { w: 2.0, h: 4.0 }));
/// SHAPES.key("a").variant(Shape::CIRCLE).set(5.0).apply(&mut shapes);
/// assert_eq!(shapes.get("a").as_deref(), Some(&Shape::Circle(5.0)));
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub struct Variant<S, F> {
    name: &'static str,
    index: u16,
    of: PhantomData<fn(S) -> F>,
}

impl<S, F> Variant<S, F> {
    /// Names the variant at `index`, counted from 0 in the order of declaration.
    #[doc(hidden)]
    pub const fn new(name: &'static str, index: u16) -> Self {
        Self { name, index, of: PhantomData }
    }

    /// The variant's name, as it was declared.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The variant's place in the order of declaration, from 0.
    pub const fn index(&self) -> u16 {
        self.index
    }
}

impl<S, F> Clone for Variant<S, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F> Copy for Variant<S, F> {}

impl<S, F> fmt::Debug for Variant<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variant").field("name", &self.name).field("index", &self.index).finish()
    }
}
