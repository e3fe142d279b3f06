//! The `#[record]` attribute of Gridmill.
//!
//! What it emits names everything by paths under `::gridmill::__private`, so that a user's
//! `Cargo.toml` needs gridmill alone.

mod args;
mod derives;
mod event;
mod key;
mod shape;
mod state;
mod walk;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

use args::Args;
use shape::Shape;

/// Makes a struct or enum something that Gridmill can store, send and look up.
///
/// The type becomes a `State` (it may stand in a PState, at the root or inside) and an `Event` (it
/// may be appended to a depot). It gets `Clone`, `Debug`, `PartialEq`, the encodings, its schema,
/// and one constant per named field for paths: `Todo::TEXT` for the field `text`.
///
/// Other derives may stand below it: `#[derive(Default, Eq, Hash, PartialOrd, Ord, Copy)]`.
///
/// # Options
///
/// - `#[record(key)]` makes it a `Key` too, with `Eq`, `PartialOrd`, `Ord` and `Hash`. All fields
///   have to be keys; an enum may have no fields.
/// - `#[record(crate = path)]` names the crate that holds `__private`, where it is not `gridmill`.
///
/// # How an event may grow
///
/// Records of a depot stay in its log, so what has been appended once is not changed: a start that finds a
/// variant gone, or with other fields, is refused. What may be added are variants, anywhere in the enum:
/// `NewIn { user, text, list }` beside `New { user, text }`.
///
/// A struct is an enum of one variant, which has the struct's name. So a struct grows by becoming one, with
/// the same fields under the same name; the folder does not see a difference:
///
/// ```
/// # mod before {
/// # use gridmill_macros::record;
/// # use gridmill_model::prelude::*;
/// #[record(crate = gridmill_model)]
/// pub struct Scored { pub player: Str, pub points: u32 }
/// # }
/// # mod after {
/// # use gridmill_macros::record;
/// # use gridmill_model::prelude::*;
/// // becomes
/// #[record(crate = gridmill_model)]
/// pub enum Score {
///     Scored { player: Str, points: u32 },
///     ScoredIn { player: Str, points: u32, level: u32 },
/// }
/// # }
/// # use gridmill_model::{Event, prelude::*};
/// # assert_eq!(before::Scored::variants()[0], after::Score::variants()[0]);
/// # let mut bytes = Vec::new();
/// # before::Scored { player: "ann".into(), points: 7 }.encode_fields(&mut bytes).unwrap();
/// # let score = after::Score::decode_fields(0, &bytes).unwrap();
/// # assert_eq!(score, after::Score::Scored { player: "ann".into(), points: 7 });
/// ```
///
/// A record inside of an event counts as its fields do. (What a PState holds changes shape only where its topology
/// fills it again from the depots: `module.refill("topology")`.)
///
/// # What does not compile
///
/// Generic types, unions, types that contain themselves, `usize` and `isize` (their width is not
/// portable), `std`'s maps, sets and deques, and `#[serde(..)]` or `#[rkyv(..)]` attributes (the encodings
/// are fixed).
///
/// # Examples
///
/// ```
/// # use gridmill_model as gridmill;
/// use gridmill::prelude::*;
/// use gridmill_macros::record;
///
/// #[record(crate = gridmill_model)]
/// pub struct Todo {
///     pub text: Str,
///     pub completed_at: Option<i64>,
/// }
///
/// assert_eq!(Todo::schema().to_string(), "Todo { text: Str, completed_at: Option<i64> }");
/// assert_eq!(Todo::TEXT.name(), "text");
/// ```
#[proc_macro_attribute]
pub fn record(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args as Args);
    let input = parse_macro_input!(item as DeriveInput);
    expand(&args, &input)
        .unwrap_or_else(|error| {
            // The type itself stays, so that its other uses do not add to the messages.
            let refused = error.into_compile_error();
            quote!(#refused #input)
        })
        .into()
}

fn expand(args: &Args, input: &DeriveInput) -> syn::Result<Tokens> {
    let shape = Shape::of(args, input)?;
    let item = derives::item(&shape, input);
    let state = state::implement(&shape);
    let walk = walk::implement(&shape);
    let event = event::implement(&shape);
    let key = if args.key { key::implement(&shape)? } else { Tokens::new() };
    Ok(quote!(#item #state #walk #event #key))
}
