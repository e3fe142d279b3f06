//! `Key`, where it is asked for.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Result};

use crate::shape::{Content, Field, Group, Shape, Variant};

pub(crate) fn implement(shape: &Shape) -> Result<Tokens> {
    match &shape.content {
        Content::Struct(group) => Ok(struct_key(shape, group)),
        Content::Enum(variants) => {
            for variant in variants {
                check(variant)?;
            }
            Ok(enum_key(shape, variants))
        }
    }
}

fn check(variant: &Variant) -> Result<()> {
    if !variant.group.fields.is_empty() {
        let message = "an enum that is a key can have no fields: use a struct or a tuple as key";
        return Err(Error::new(variant.name.span(), message));
    }
    match variant.discriminant {
        Some(span) => {
            let message = "an enum that is a key sorts by declaration: remove the number";
            Err(Error::new(span, message))
        }
        None => Ok(()),
    }
}

/// The four functions of a key's own look-up form.
struct Parts {
    whole: Tokens,
    part: Tokens,
    route: Tokens,
    decode: Tokens,
}

fn emit(shape: &Shape, parts: Parts) -> Tokens {
    let Shape { name, model, .. } = shape;
    let Parts { whole, part, route, decode } = parts;
    quote! {
        #[automatically_derived]
        impl #model::AsKey<#name> for #name {
            #[allow(unused_variables)]
            fn encode_as_key(&self, out: &mut #model::KeyBytes) {
                #whole
            }

            #[allow(unused_variables)]
            fn encode_as_part(&self, out: &mut #model::KeyBytes) {
                #part
            }

            fn route_as_key(&self) -> #model::RouteKey {
                #route
            }

            fn compare(&self, key: &#name) -> ::core::cmp::Ordering {
                ::core::cmp::Ord::cmp(self, key)
            }
        }

        #[automatically_derived]
        impl #model::Key for #name {
            #decode
        }
    }
}

/// A record is its fields one after another; all but the last say where they end.
fn struct_key(shape: &Shape, group: &Group) -> Tokens {
    let model = &shape.model;
    let part = |field: &Field| {
        let member = &field.member;
        quote!(#model::Key::encode_part(&self.#member, out);)
    };
    let all: Vec<_> = group.fields.iter().map(part).collect();
    let Some((last, init)) = group.fields.split_last() else {
        return emit(shape, empty_struct(shape));
    };
    let (leading, last_member) = (&all[..init.len()], &last.member);
    let first = &group.fields[0].member;
    let decode = struct_decode(shape, init, last);
    emit(
        shape,
        Parts {
            whole: quote!(#(#leading)* #model::Key::encode_key(&self.#last_member, out);),
            part: quote!(#(#all)*),
            route: quote!(#model::Key::route(&self.#first)),
            decode,
        },
    )
}

fn empty_struct(shape: &Shape) -> Parts {
    let model = &shape.model;
    Parts {
        whole: Tokens::new(),
        part: Tokens::new(),
        route: quote!(#model::Key::route(&())),
        decode: quote! {
            fn decode_part(
                _: &mut &[u8],
            ) -> ::core::result::Result<Self, #model::KeyError> {
                ::core::result::Result::Ok(Self {})
            }
        },
    }
}

fn struct_decode(shape: &Shape, init: &[Field], last: &Field) -> Tokens {
    let model = &shape.model;
    let read = |field: &Field, call: Tokens| {
        let (member, ty) = (&field.member, &field.ty);
        quote!(#member: <#ty as #model::Key>::#call?)
    };
    let leading: Vec<_> =
        init.iter().map(|field| read(field, quote!(decode_part(&mut bytes)))).collect();
    let inner: Vec<_> = init
        .iter()
        .chain(std::iter::once(last))
        .map(|field| read(field, quote!(decode_part(bytes))))
        .collect();
    let end = read(last, quote!(decode_key(bytes)));
    quote! {
        #[allow(unused_mut)]
        fn decode_key(mut bytes: &[u8]) -> ::core::result::Result<Self, #model::KeyError> {
            ::core::result::Result::Ok(Self { #(#leading,)* #end })
        }

        fn decode_part(
            bytes: &mut &[u8],
        ) -> ::core::result::Result<Self, #model::KeyError> {
            ::core::result::Result::Ok(Self { #(#inner),* })
        }
    }
}

/// A variant is its index, and routes by its name.
fn enum_key(shape: &Shape, variants: &[Variant]) -> Tokens {
    let model = &shape.model;
    let name: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
    let label = name.iter().map(|name| name.unraw().to_string());
    let index: Vec<u16> = (0..variants.len() as u16).collect();
    let encode = quote! {
        let index: u16 = match self { #(Self::#name {} => #index),* };
        #model::Key::encode_key(&index, out);
    };
    let decode = quote! {
        fn decode_part(
            bytes: &mut &[u8],
        ) -> ::core::result::Result<Self, #model::KeyError> {
            match <u16 as #model::Key>::decode_part(bytes)? {
                #(#index => ::core::result::Result::Ok(Self::#name {}),)*
                other => ::core::result::Result::Err(#model::KeyError::of::<Self>(
                    "the index of a variant",
                    ::std::string::ToString::to_string(&other),
                )),
            }
        }
    };
    let route = quote! {
        #model::RouteKey::from(match self { #(Self::#name {} => #label),* })
    };
    emit(shape, Parts { whole: encode.clone(), part: encode, route, decode })
}
