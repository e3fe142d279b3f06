//! `Event`: variants, and their fields one after another.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::ext::IdentExt;

use crate::shape::{Content, Field, Group, Shape};
use crate::state::{group_schema, variant_schema};

pub(crate) fn implement(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    let forms = forms(shape);
    let variants = forms.iter().map(|form| {
        let Form { label, schema, .. } = form;
        quote!(#model::event::Variant::new(#label, #schema))
    });
    let index = forms.iter().enumerate().map(|(index, form)| {
        let pattern = &form.pattern;
        quote!(#pattern { .. } => #index)
    });
    let encode = forms.iter().map(|form| encode(form));
    let decode = forms.iter().enumerate().map(|(index, form)| decode(index, form));
    let count = forms.len();
    quote! {
        #[automatically_derived]
        impl #model::Event for #name {
            fn variants() -> ::std::vec::Vec<#model::event::Variant> {
                ::std::vec![#(#variants),*]
            }

            fn variant(&self) -> usize {
                match self { #(#index),* }
            }

            fn encode_fields(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), #model::event::EncodeError> {
                #[allow(unused_mut, unused_variables)]
                let mut writer = #model::event::FieldWriter::new(out);
                match self { #(#encode),* }
                ::core::result::Result::Ok(())
            }

            fn decode_fields(
                variant: usize,
                bytes: &[u8],
            ) -> ::core::result::Result<Self, #model::event::DecodeError> {
                #[allow(unused_mut)]
                let mut reader = #model::event::FieldReader::new(bytes);
                match variant {
                    #(#decode)*
                    _ => #model::event::FieldReader::unknown(variant, #count),
                }
            }
        }
    }
}

/// One form of the event: the struct itself, or one variant.
struct Form<'a> {
    label: String,
    schema: Tokens,
    pattern: Tokens,
    group: &'a Group,
}

fn forms(shape: &Shape) -> Vec<Form<'_>> {
    match &shape.content {
        Content::Struct(group) => {
            let label = shape.name.unraw().to_string();
            let schema = group_schema(shape, &label, group);
            vec![Form { label, schema, pattern: quote!(Self), group }]
        }
        Content::Enum(variants) => {
            let form = |variant| {
                let (label, schema) = variant_schema(shape, variant);
                let name = &variant.name;
                Form { label, schema, pattern: quote!(Self::#name), group: &variant.group }
            };
            variants.iter().map(form).collect()
        }
    }
}

fn encode(form: &Form<'_>) -> Tokens {
    let Form { pattern, group, .. } = form;
    let bindings = group.bindings();
    let fields = group.fields.iter().map(Field::binding);
    quote!(#pattern #bindings => { #(writer.field(#fields)?;)* })
}

/// Fields are read in the order of declaration, which is that of the expressions.
fn decode(index: usize, form: &Form<'_>) -> Tokens {
    let Form { pattern, group, .. } = form;
    let fields = group.fields.iter().map(|field| {
        let member = &field.member;
        quote!(#member: reader.field()?)
    });
    quote! {
        #index => {
            let value = #pattern { #(#fields),* };
            reader.end(value)
        }
    }
}
