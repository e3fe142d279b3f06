//! Field handles, and how paths go through the fields.

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

use crate::shape::{Content, Field, Group, Shape, Variant};

pub(crate) fn implement(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    match &shape.content {
        Content::Enum(variants) => {
            let handles = variant_handles(shape, variants);
            let walk = variants_walk(shape, variants);
            quote! {
                #handles

                #[automatically_derived]
                impl #model::path::Record for #name {
                    #walk
                }
            }
        }
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
    let Shape { model, private, .. } = shape;
    let path = quote!(#model::path);
    let archived = quote!(<Self as #private::rkyv::Archive>::Archived);
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

        fn walk_field_cold(
            cold: #model::engine::Cold<'_>,
            index: u16,
            steps: &[#path::Step],
            visit: &mut #path::Visit<'_>,
        ) -> #done {
            match index {
                #(#index => {
                    let at = ::core::mem::offset_of!(#archived, #member);
                    <#ty as #path::Walk>::walk_cold(cold.behind(at), steps, visit)
                })*
                _ => ::core::result::Result::Ok(()),
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

/// The most fields that a variant may have to be walked into: tuples have no more parts.
pub(crate) const FIELDS_MAX: usize = 12;

/// One constant per variant, with the name in capitals; with an underscore behind it where that is the variant's.
fn variant_handles(shape: &Shape, variants: &[Variant]) -> Tokens {
    let Shape { name, model, .. } = shape;
    let mut taken: Vec<String> = variants.iter().map(|it| it.name.unraw().to_string()).collect();
    let mut handles = Vec::new();
    for (index, variant) in variants.iter().enumerate() {
        if variant.group.fields.len() > FIELDS_MAX {
            continue;
        }
        let label = variant.name.unraw().to_string();
        let mut handle = capitals(&label);
        if handle == label {
            handle.push('_');
        }
        if taken.contains(&handle) {
            continue;
        }
        taken.push(handle.clone());
        let (handle, index) = (format_ident!("{handle}"), index as u16);
        let content = content_type(&variant.group);
        let doc = format!("The content of the variant `{label}`, for paths.");
        handles.push(quote! {
            #[doc = #doc]
            #[allow(dead_code, private_interfaces)]
            pub const #handle: #model::Variant<#name, #content> =
                #model::Variant::new(#label, #index);
        });
    }
    quote! {
        #[automatically_derived]
        impl #name {
            #(#handles)*
        }
    }
}

/// `TimedOut` as `TIMED_OUT`.
fn capitals(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut capitals = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let word_ends = before.is_some_and(|before| before.is_lowercase() || before.is_numeric());
        let word_begins = before.is_some_and(char::is_uppercase)
            && letters.get(at + 1).is_some_and(|after| after.is_lowercase());
        if letter.is_uppercase() && (word_ends || word_begins) {
            capitals.push('_');
        }
        capitals.extend(letter.to_uppercase());
    }
    capitals
}

/// What a variant holds: nothing, its one field, or the tuple of its fields.
fn content_type(group: &Group) -> Tokens {
    let types = group.fields.iter().map(|field| &field.ty);
    match group.fields.as_slice() {
        [one] => one.ty.to_token_stream(),
        _ => quote!((#(#types),*)),
    }
}

/// The content of a variant that was taken apart, as a value.
fn content_value(group: &Group) -> Tokens {
    let bindings: Vec<_> = group.fields.iter().map(Field::binding).collect();
    match bindings.as_slice() {
        [one] => quote!(::core::clone::Clone::clone(#one)),
        _ => quote!((#(::core::clone::Clone::clone(#bindings)),*)),
    }
}

/// A variant made of its content.
fn built(variant: &Variant) -> Tokens {
    let name = &variant.name;
    let fields = variant.group.fields.iter().enumerate().map(|(index, field)| {
        let (member, index) = (&field.member, syn::Index::from(index));
        if variant.group.fields.len() == 1 {
            quote!(#member: content)
        } else {
            quote!(#member: content.#index)
        }
    });
    quote!(Self::#name { #(#fields),* })
}

fn variants_walk(shape: &Shape, variants: &[Variant]) -> Tokens {
    let model = &shape.model;
    let path = quote!(#model::path);
    let done = quote!(::core::result::Result<(), #path::PathError>);
    let labels = variants.iter().map(|variant| variant.name.unraw().to_string());
    let known = |variant: &&(usize, &Variant)| variant.1.group.fields.len() <= FIELDS_MAX;
    let numbered: Vec<(usize, &Variant)> = variants.iter().enumerate().collect();
    let numbered: Vec<&(usize, &Variant)> = numbered.iter().filter(known).collect();
    let index: Vec<u16> = numbered.iter().map(|(index, _)| *index as u16).collect();
    let name: Vec<_> = numbered.iter().map(|(_, variant)| &variant.name).collect();
    let bindings: Vec<_> = numbered.iter().map(|(_, variant)| variant.group.bindings()).collect();
    let ty: Vec<_> = numbered.iter().map(|(_, variant)| content_type(&variant.group)).collect();
    let value: Vec<_> = numbered.iter().map(|(_, it)| content_value(&it.group)).collect();
    let built: Vec<_> = numbered.iter().map(|(_, variant)| built(variant)).collect();
    quote! {
        const VARIANTS: &'static [&'static str] = &[#(#labels),*];

        #[allow(unused_variables, unreachable_patterns, clippy::unused_unit, clippy::let_unit_value)]
        fn walk_variant(
            &self,
            index: u16,
            steps: &[#path::Step],
            visit: &mut #path::Visit<'_>,
        ) -> #done {
            match (index, self) {
                #((#index, Self::#name #bindings) => {
                    let content: #ty = #value;
                    #path::Walk::walk_owned(content, steps, visit)
                })*
                _ => Self::walk_variant_absent(index, steps, visit),
            }
        }

        fn walk_variant_absent(
            index: u16,
            steps: &[#path::Step],
            visit: &mut #path::Visit<'_>,
        ) -> #done {
            match index {
                #(#index => <#ty as #path::Walk>::walk_absent(steps, visit),)*
                _ => ::core::result::Result::Ok(()),
            }
        }

        #[allow(unused_variables, unreachable_patterns, clippy::unused_unit, clippy::let_unit_value)]
        fn walk_variant_mut(
            &mut self,
            index: u16,
            steps: &[#path::Step],
            change: &mut #path::Change<'_>,
        ) -> ::core::result::Result<#path::Effect, #path::PathError> {
            match (index, &*self) {
                #((#index, Self::#name #bindings) => {
                    let mut content: #ty = #value;
                    let effect = #path::Walk::walk_mut(&mut content, steps, change)?;
                    if effect == #path::Effect::Changed {
                        *self = #built;
                    }
                    ::core::result::Result::Ok(effect)
                })*
                _ => {
                    let made = <Self as #path::Record>::create_variant(index, steps, change)?;
                    let effect = match made {
                        ::core::option::Option::Some(made) => {
                            *self = made;
                            #path::Effect::Changed
                        }
                        ::core::option::Option::None => #path::Effect::Kept,
                    };
                    ::core::result::Result::Ok(effect)
                }
            }
        }

        #[allow(unused_variables, clippy::unused_unit, clippy::let_unit_value)]
        fn create_variant(
            index: u16,
            steps: &[#path::Step],
            change: &mut #path::Change<'_>,
        ) -> ::core::result::Result<::core::option::Option<Self>, #path::PathError> {
            match index {
                #(#index => {
                    let content = <#ty as #path::Walk>::create(steps, change)?;
                    ::core::result::Result::Ok(content.map(|content| #built))
                })*
                _ => ::core::result::Result::Ok(::core::option::Option::None),
            }
        }

        fn variant_type(index: u16) -> ::core::option::Option<#path::ValueType> {
            match index {
                #(#index => ::core::option::Option::Some(#path::ValueType::of::<#ty>()),)*
                _ => ::core::option::Option::None,
            }
        }
    }
}
