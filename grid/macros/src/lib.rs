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
/// # What does not compile
///
/// Generic types, unions, types that contain themselves, `usize` and `isize` (their width is not
/// portable), and `#[serde(..)]` or `#[rkyv(..)]` attributes (the encodings are fixed).
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
