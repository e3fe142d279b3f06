//! Field handles, and how paths go through the fields.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};

use crate::shape::{Content, Field, Group, Shape};

pub(crate) fn implement(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    match &shape.content {
        Content::Struct(group) if group.named && !group.fields.is_empty() => {
            let handles = handles(shape, group);
            let walk = fields(shape, group);
            quote! {
                #handles

                #[automatically_derived]
                impl #model::path::Record for #name {
                    #walk
                }
            }
        }
        _ => quote! {
            #[automatically_derived]
            impl #model::path::Record for #name {}
        },
    }
}

/// One constant per field, with the field's own visibility.
fn handles(shape: &Shape, group: &Group) -> Tokens {
    let Shape { name, model, .. } = shape;
    let handles = group.fields.iter().enumerate().map(|(index, field)| {
        let Field { ty, vis, .. } = field;
        let label = field.label();
        let index = index as u16;
        let handle = format_ident!("{}", label.to_uppercase());
        let doc = format!("The field `{label}`, for paths.");
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #vis const #handle: #model::Field<#name, #ty> = #model::Field::new(#label, #index);
        }
    });
    quote! {
        #[automatically_derived]
        impl #name {
            #(#handles)*
        }
    }
}

fn fields(shape: &Shape, group: &Group) -> Tokens {
    let model = &shape.model;
    let path = quote!(#model::path);
    let done = quote!(::core::result::Result<(), #path::PathError>);
    let labels = group.fields.iter().map(Field::label);
    let index: Vec<u16> = (0..group.fields.len() as u16).collect();
    let member: Vec<_> = group.fields.iter().map(|field| &field.member).collect();
    let ty: Vec<_> = group.fields.iter().map(|field| &field.ty).collect();
    quote! {
        const FIELDS: &'static [&'static str] = &[#(#labels),*];

        fn walk_field(
            &self,
            index: u16,
            steps: &[#path::Step],
            visit: &mut #path::Visit<'_>,
        ) -> #done {
            match index {
                #(#index => #path::Walk::walk(&self.#member, steps, visit),)*
                _ => ::core::result::Result::Ok(()),
            }
        }

        fn walk_field_absent(
            index: u16,
            steps: &[#path::Step],
            visit: &mut #path::Visit<'_>,
        ) -> #done {
            match index {
                #(#index => <#ty as #path::Walk>::walk_absent(steps, visit),)*
                _ => ::core::result::Result::Ok(()),
            }
        }

        fn walk_field_mut(
            &mut self,
            index: u16,
            steps: &[#path::Step],
            change: &mut #path::Change<'_>,
        ) -> ::core::result::Result<#path::Effect, #path::PathError> {
            match index {
                #(#index => #path::field_mut(&mut self.#member, steps, change),)*
                _ => ::core::result::Result::Ok(#path::Effect::Kept),
            }
        }

        fn field_type(index: u16) -> ::core::option::Option<#path::ValueType> {
            match index {
                #(#index => ::core::option::Option::Some(#path::ValueType::of::<#ty>()),)*
                _ => ::core::option::Option::None,
            }
        }
    }
}
