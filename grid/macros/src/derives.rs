//! The type itself, with the derives that it needs.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Path, Token};

use crate::shape::Shape;

/// The type as it was written, with derives added that it does not name itself.
pub(crate) fn item(shape: &Shape, input: &DeriveInput) -> Tokens {
    let private = &shape.private;
    let serde_path = quote!(#private::serde).to_string().replace(' ', "");
    let named = derives_of(input);
    let mut wanted = vec!["Clone", "Debug", "PartialEq"];
    if shape.key {
        wanted.extend(["Eq", "PartialOrd", "Ord", "Hash"]);
    }
    let missing = wanted.into_iter().filter(|name| !named.iter().any(|own| own == name));
    let paths = missing.map(|name| {
        let name = quote::format_ident!("{name}");
        match name.to_string().as_str() {
            "Clone" => quote!(::core::clone::Clone),
            "Debug" => quote!(::core::fmt::Debug),
            "Hash" => quote!(::core::hash::Hash),
            _ => quote!(::core::cmp::#name),
        }
    });
    quote! {
        #[derive(#(#paths),*)]
        #[derive(#private::serde::Serialize, #private::serde::Deserialize)]
        #[serde(crate = #serde_path, deny_unknown_fields)]
        #[derive(#private::rkyv::Archive, #private::rkyv::Serialize, #private::rkyv::Deserialize)]
        #[rkyv(crate = #private::rkyv)]
        #input
    }
}

/// The last names of the derives that stand below the attribute.
fn derives_of(input: &DeriveInput) -> Vec<String> {
    let derives = input.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
    let paths = derives.filter_map(|attribute| {
        attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
    });
    paths.flatten().filter_map(|path| Some(path.segments.last()?.ident.to_string())).collect()
}
