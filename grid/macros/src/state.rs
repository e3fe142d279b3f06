//! `State` and `Root`: the schema and the weight.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::shape::{Content, Field, Group, Shape, Variant};

pub(crate) fn implement(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    let schema = schema(shape);
    let weight = weight(shape);
    let states = shape.fields().map(|field| {
        let ty = &field.ty;
        quote_spanned!(ty.span()=> is_state::<#ty>();)
    });
    quote! {
        const _: () = {
            #[allow(dead_code)]
            const fn is_state<T: #model::State>() {}
            #(#states)*
        };

        #[automatically_derived]
        impl #model::State for #name {
            fn schema() -> #model::Schema {
                #schema
            }

            fn weight(&self) -> usize {
                #weight
            }
        }

        #model::__blob_root!([] #name);
    }
}

fn schema(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    let name = name.unraw().to_string();
    match &shape.content {
        Content::Struct(group) => group_schema(shape, &name, group),
        Content::Enum(variants) => {
            let variants = variants.iter().map(|variant| {
                let (label, schema) = variant_schema(shape, variant);
                quote!((::std::string::String::from(#label), #schema))
            });
            quote! {
                #model::Schema::Enum {
                    name: ::std::string::String::from(#name),
                    variants: ::std::vec![#(#variants),*],
                }
            }
        }
    }
}

/// The name of a variant and the shape of its fields.
pub(crate) fn variant_schema(shape: &Shape, variant: &Variant) -> (String, Tokens) {
    let label = variant.name.unraw().to_string();
    let schema = group_schema(shape, &label, &variant.group);
    (label, schema)
}

/// The shape of some fields under a name.
pub(crate) fn group_schema(shape: &Shape, name: &str, group: &Group) -> Tokens {
    let model = &shape.model;
    let part = |field: &Field| {
        let ty = &field.ty;
        quote!(<#ty as #model::State>::schema())
    };
    if group.fields.is_empty() {
        return quote!(#model::Schema::Unit);
    }
    if !group.named {
        let parts = group.fields.iter().map(part);
        return quote!(#model::Schema::Tuple(::std::vec![#(#parts),*]));
    }
    let fields = group.fields.iter().map(|field| {
        let (label, schema) = (field.label(), part(field));
        quote!((::std::string::String::from(#label), #schema))
    });
    quote! {
        #model::Schema::Struct {
            name: ::std::string::String::from(#name),
            fields: ::std::vec![#(#fields),*],
        }
    }
}

fn weight(shape: &Shape) -> Tokens {
    match &shape.content {
        Content::Struct(group) => {
            let bindings = group.bindings();
            let sum = group_weight(shape, group);
            quote!({ let Self #bindings = self; #sum })
        }
        Content::Enum(variants) => {
            let arms = variants.iter().map(|variant| {
                let (name, bindings) = (&variant.name, variant.group.bindings());
                let sum = group_weight(shape, &variant.group);
                quote!(Self::#name #bindings => #sum)
            });
            quote!(match self { #(#arms),* })
        }
    }
}

fn group_weight(shape: &Shape, group: &Group) -> Tokens {
    let model = &shape.model;
    let bindings = group.fields.iter().map(Field::binding);
    quote!(0 #(+ #model::State::weight(#bindings))*)
}
