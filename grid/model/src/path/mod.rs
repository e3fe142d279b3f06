//! Paths: where in a PState something is, as data.
//!
//! A path is a sequence of steps. Starting from the whole PState, each step continues with no,
//! one or many values. A select returns the values at the end, in order; a transform changes
//! them where they are. The builder ([`Navigate`]) is typed: a path that does not fit its PState
//! does not compile. The steps themselves ([`Step`]) carry no types, so that a path can travel;
//! whatever comes from outside is checked against the PState's type before it is walked.
//!
//! # The rules
//!
//! - `key` on a missing entry reaches nothing in a select, unless a later step gives the missing value a meaning:
//!   see the last but one column below. A transform through `key` may create the entry.
//! - `must` reaches nothing on a missing entry, whatever follows.
//! - Positions past the end, and `first` and `last` of nothing, reach nothing.
//! - A transform that reaches nothing writes nothing.
//! - Removing takes the value out of the collection that holds it; emptied collections stay. The
//!   root cannot be removed, and a field of a record only if it is an `Option`, which becomes
//!   `None`.
//! - Conditions are paths: they hold if they reach at least one value, whatever it is.
//! - Branches are paths too, and what follows a step with branches is walked after each of them.
//!
//! # The steps
//!
//! What a select reaches; what a transform through the step does; what both do where the value is missing that the
//! step starts from ("as path": what the path of the step does there); what it costs, beside what follows. `n` is the
//! number of elements, `k` of those that are reached, `log` the depth of a tree, which is small.
//!
//! | step | select | transform | where nothing is | cost |
//! |---|---|---|---|---|
//! | `key(k)` | the value, if there | changes or creates it; `remove` deletes the entry | goes on with nothing; makes a map | log |
//! | `must(k)` | the value, if there | changes it; never creates | nothing | log |
//! | `map_key(k)` | the key, if there | renames the entry, what lay there goes; `remove` deletes | nothing | log |
//! | `nth(i)` `first` `last` | the element, if there | changes it; `remove` shifts the later ones | nothing | log |
//! | `index(i)` | the position, if there is an element | moves the element | nothing | log, move: n |
//! | `part::<N>` `first` `last` | a part of a tuple | changes it | as the part | 1 |
//! | `field(F)` | the field | changes it; `remove` of an `Option` sets `None` | as the field | 1 |
//! | `variant(V)` | its content, if it is this variant | changes it; `set` makes it this variant | as its content | content |
//! | `some` | the value inside, if there | changes it; `set` makes it `Some`, `remove` `None` | as the value | 1 |
//! | `elem(e)` | the member, if it is one | replaces it; `remove` takes it out | nothing | log |
//! | `after_elem` `before_elem` `before_index(i)` | nothing | inserts | makes a list (`before_index` for 0) | n at most |
//! | `add_elem` | nothing | adds a member | makes a set | log |
//! | `beginning` `end` | nothing | puts a list in | makes a list | added + n |
//! | `or(v)` `or_default` | the value | changes it | `v`; made if it is written then | 1 |
//! | `all` `map_vals` `map_keys` and `.._rev` | each element, pair, value or key | changes each; a changed key renames | nothing | n |
//! | `indexed_vals` | each position and element, as a pair | a changed position moves, a changed value replaces | nothing | n, moves: n each |
//! | `key_range(..)` `key_range_from` `.._after` `.._to` `first_keys` `last_keys` | that part, as one map or set | what comes of the part replaces it | an empty one; makes one | log + k |
//! | `sub_map` `subset` | those entries or members, as one map or set | they go, what comes of them is put in | an empty one; makes one | k log |
//! | `range(..)` `first_n` `last_n` | that part, as one list | what comes of the part replaces it | an empty one; makes one | k, transform: n |
//! | `filtered(c)` | the elements with the condition, as one list | each of their places gets what has come there; more is refused | an empty one | n conditions |
//! | `len` | the number | nothing: it is computed | 0 | 1; of a `key_range`: k |
//! | `sum` | the sum | nothing | 0 | n |
//! | `min` `max` `avg` | of the elements, if there are any | nothing | nothing | n |
//! | `filter_eq` `_ne` `_gt` `_ge` `_lt` `_le` | the value, if it compares so | changes it then | nothing | value |
//! | `filter(f)` | the value, if the function says so; in process only | changes it then | nothing | `f` |
//! | `filter_selected(c)` `filter_not_selected(c)` | the value, if the condition holds, or not | changes it then | as path | condition |
//! | `if_path(c, t, e)` `when(c, t)` | what that branch reaches | changes along that branch | as path | condition |
//! | `multi` | what each branch reaches, in order | one after the other, each sees what those before it did | as path | branches |
//! | `stop` | nothing | nothing | nothing | 1 |
//! | `subselect(p)` | the list of what it reaches | the list is put back value by value; ends the path | an empty list | path, twice |
//! | `transformed(t)` | the value as the transform would leave it | writes the result | as path | copy + transform |
//! | `collect_one(p)` `collect(p)` `put(v)` `dispense` | the value; results are tuples with what was collected | goes on as if it were not there | goes on | path |
//! | `own(n)` | what the navigator shows | what the navigator does | nothing | the navigator |
//!
//! Ends of transforms: `set`, `update`, `add`, `remove`, `move_to`. Not taken over from Rama: `NAME`, `NAMESPACE`, `ATOM`,
//! `META`, `walker`, `regex-nav`, `parser`, `traversed`, `continuous-subseqs` and recursive paths (records do not contain
//! themselves), `withPageSize` (walks stay in one view of one moment and copy nothing ahead), `nullTo..` beyond `or`.
//!
//! In a store's files, steps to a field, an element, an entry or a part read and decode only that; keys, counts and
//! conditions on keys read no value.
//!
//! # Limits
//!
//! [`MAX_STEPS`] and [`MAX_NESTING`] bound a path, [`Limits`] bounds what one select may return and visit. A path of any
//! origin, however it was made, ends within them with a typed error; it never panics.

// Use goes one way. `data`, `error` and `trail` know no type of a value; `check` and `walk` stand on them,
// `build` on `walk`, `run` on `build`, and `json` on all but for `json::kind`, a table that `check` holds.
mod build;
mod check;
mod data;
mod error;
mod json;
mod run;
mod trail;
mod walk;

pub use build::branches::Branches;
pub use build::carry::{Carry, CarryMore};
pub use build::collects::{Collecting, Collects};
pub use build::data_transform::DataTransform;
pub use build::each::Each;
pub use build::filters::Filters;
pub use build::fits::{
    Elements, Ends, Indexed, IntoLeaf, Keyed, Listed, Measured, Numeric, Optional, Ordered, PartOf,
    SetOf, Sorted, Sums, ToIndex, Valued,
};
pub use build::one::Navigate;
pub use build::parts::Parts;
pub use build::path::Path;
pub use build::terms::{Terms, Transform};
pub use build::views::Views;
pub use check::{KeyType, ValueType, check_steps};
pub use data::encode::{decode_steps, encode_steps};
pub use data::filter::{Compare, Edge, Filter, Index, KeyRange};
pub use data::limits::{Limits, MAX_NESTING, MAX_STEPS};
pub use data::own::Own;
pub use data::step::{Amount, Every, NumberKind, Side, Step, StepKey, Steps, Transformed, View};
pub use data::term::{Add, Agg, Remove, Replace, Term, Update};
pub use error::{Misfit, PathError, PathErrorKind};
pub use json::answer::{select_json, select_json_while};
pub use json::parse::{JsonPath, parse_json_path, parse_json_path_with, parse_json_text};
pub use run::select::Selected;
pub use run::store::{walk_blob, walk_store};
pub(crate) use run::transform::change_at;
pub use trail::Trail;
pub use walk::Walk;
pub use walk::change::{Change, Effect, Terminal};
pub use walk::leaf::{Carried, LeafSlot, LeafValue};
pub use walk::number::Number;
pub use walk::own::{Navigator, Navigators};
pub use walk::place::{EmptyPlace, Place};
pub use walk::record::{Record, field_mut};
pub use walk::visit::{Sink, Visit};
