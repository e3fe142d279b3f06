//! The options of the attribute.

use syn::parse::{Parse, ParseStream};
use syn::{Ident, Path, Token, parse_quote};

/// What stands in the brackets of `#[record(..)]`.
pub(crate) struct Args {
    /// Whether the type shall be a key too.
    pub(crate) key: bool,
    /// The crate that holds `__private`.
    pub(crate) root: Path,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self { key: false, root: parse_quote!(::gridmill) };
        while !input.is_empty() {
            if input.peek(Token![crate]) {
                input.parse::<Token![crate]>()?;
                input.parse::<Token![=]>()?;
                args.root = input.call(Path::parse_mod_style)?;
            } else {
                let option: Ident = input.parse()?;
                if option != "key" {
                    let message = format!("unknown option `{option}`: use `key` or `crate = path`");
                    return Err(syn::Error::new(option.span(), message));
                }
                args.key = true;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}
