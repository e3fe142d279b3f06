//! `State` and `Root`: the schema and the size.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::shape::{Content, Field, Group, Shape, Variant};

pub(crate) fn implement(shape: &Shape) -> Tokens {
    let Shape { name, model, .. } = shape;
    let schema = schema(shape);
    let (size, resize) = (size(shape), resize(shape));
    let (is_same, diff) = (is_same(shape), diff(shape));
    let in_place = in_place(shape);
    let types: Vec<_> = shape.fields().map(|field| &field.ty).collect();
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
            const FIXED: bool = true #(&& <#types as #model::State>::FIXED)*;
            const QUICK: bool = true #(&& <#types as #model::State>::QUICK)*;
            const REFLEXIVE: bool = true #(&& <#types as #model::State>::REFLEXIVE)*;

            #in_place

            fn schema() -> #model::Schema {
                #schema
            }

            fn size(&self) -> #model::Size {
                #size
            }

            #[allow(unused_variables, reason = "a record need not have fields")]
            fn resize(&self, earlier: &Self, size: &mut #model::Size) {
                #resize
            }

            #[allow(unused_variables, reason = "a record need not have fields")]
            fn is_same(&self, earlier: &Self) -> bool {
                #is_same
            }

            #diff
        }

        #model::__blob_root!([] #name);
    }
}

/// That fields of an archived record are read alone, and what has to be read of it.
fn in_place(shape: &Shape) -> Tokens {
    let Shape { model, private, .. } = shape;
    let Content::Struct(group) = &shape.content else { return Tokens::new() };
    let archived = quote!(<Self as #private::rkyv::Archive>::Archived);
    let types = group.fields.iter().map(|field| &field.ty);
    let members = group.fields.iter().map(|field| &field.member);
    quote! {
        fn fetch(
            cold: #model::engine::Cold<'_>,
        ) -> ::core::result::Result<(), #model::engine::Damaged> {
            cold.bytes(::core::mem::size_of::<#archived>())?;
            #(if !<#types as #model::State>::FIXED {
                let at = ::core::mem::offset_of!(#archived, #members);
                <#types as #model::State>::fetch(cold.behind(at))?;
            })*
            ::core::result::Result::Ok(())
        }
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

fn size(shape: &Shape) -> Tokens {
    match &shape.content {
        Content::Struct(group) => {
            let bindings = group.bindings();
            let sum = group_size(shape, group);
            quote!({ let Self #bindings = self; #sum })
        }
        Content::Enum(variants) => {
            let arms = variants.iter().map(|variant| {
                let (name, bindings) = (&variant.name, variant.group.bindings());
                let sum = group_size(shape, &variant.group);
                quote!(Self::#name #bindings => #sum)
            });
            quote!(match self { #(#arms),* })
        }
    }
}

fn group_size(shape: &Shape, group: &Group) -> Tokens {
    let model = &shape.model;
    let bindings = group.fields.iter().map(Field::binding);
    quote!(<#model::Size as ::core::default::Default>::default() #(+ #model::State::size(#bindings))*)
}

/// Field by field; where another variant was there, all of both.
fn resize(shape: &Shape) -> Tokens {
    let model = &shape.model;
    let field = |now, earlier| quote!(#model::State::resize(#now, #earlier, size););
    let other = quote!(size.replace(#model::State::size(earlier), #model::State::size(self)));
    beside_earlier(shape, &quote!(), &field, &other)
}

fn is_same(shape: &Shape) -> Tokens {
    let model = &shape.model;
    let field = |now, earlier| quote!(&& #model::State::is_same(#now, #earlier));
    beside_earlier(shape, &quote!(true), &field, &quote!(false))
}

/// Field by field, where paths lead to fields; the content of a variant as one part, where paths lead there. Otherwise
/// a value is another one or is not.
fn diff(shape: &Shape) -> Tokens {
    let model = &shape.model;
    let body = match &shape.content {
        Content::Struct(group) if group.named && !group.fields.is_empty() => {
            let parts = group.fields.iter().enumerate().map(|(index, field)| {
                let (index, member) = (index as u16, &field.member);
                quote! {
                    out.inside(#model::path::Step::Field(#index), &earlier.#member, &self.#member);
                }
            });
            quote!(#(#parts)*)
        }
        Content::Struct(_) => return Tokens::new(),
        Content::Enum(variants) => {
            let arms = variants.iter().enumerate().map(|(index, variant)| {
                let (name, group) = (&variant.name, &variant.group);
                let (now, earlier) = (group.bindings(), group.earlier_bindings());
                let parts = variant_diff(shape, index as u16, group);
                quote!((Self::#name #now, Self::#name #earlier) => { #parts })
            });
            let other = (variants.len() > 1).then(|| quote!(_ => out.set(self),));
            quote!(match (self, earlier) { #(#arms)* #other })
        }
    };
    quote! {
        #[allow(unused_variables, reason = "a variant need not have fields")]
        fn diff(&self, earlier: &Self, out: &mut #model::diff::DiffOut) {
            #body
        }
    }
}

/// The fields of a variant: behind the steps to its content and, where there are several, to the part of it.
fn variant_diff(shape: &Shape, variant: u16, group: &Group) -> Tokens {
    let model = &shape.model;
    let step = quote!(#model::path::Step::Variant(#variant));
    let fields: Vec<(Ident, Ident)> =
        group.fields.iter().map(|it| (it.binding(), it.earlier_binding())).collect();
    match fields.as_slice() {
        [] => Tokens::new(),
        [(now, earlier)] => quote!(out.inside(#step, #earlier, #now);),
        fields if fields.len() > crate::walk::FIELDS_MAX => {
            let differ =
                fields.iter().map(|(now, earlier)| quote!(#model::diff::differ(#earlier, #now)));
            quote!(if #(#differ)||* { out.set(self); })
        }
        fields => {
            let parts = fields.iter().enumerate().map(|(index, (now, earlier))| {
                let part = quote!(#model::path::Step::Field(#index as u16));
                quote!(out.inside(#part, #earlier, #now);)
            });
            quote!(out.behind(#step, |out| { #(#parts)* });)
        }
    }
}

/// What begins with `start` and goes on with what `field` makes of each field of `self` and `earlier`; `other`
/// where these are different variants.
fn beside_earlier(
    shape: &Shape,
    start: &Tokens,
    field: &dyn Fn(Ident, Ident) -> Tokens,
    other: &Tokens,
) -> Tokens {
    let fields = |group: &Group| {
        let fields = group.fields.iter().map(|it| field(it.binding(), it.earlier_binding()));
        quote!(#start #(#fields)*)
    };
    match &shape.content {
        Content::Struct(group) => {
            let (now, earlier) = (group.bindings(), group.earlier_bindings());
            let fields = fields(group);
            quote!({ let Self #now = self; let Self #earlier = earlier; #fields })
        }
        Content::Enum(variants) => {
            let arms = variants.iter().map(|variant| {
                let (name, group) = (&variant.name, &variant.group);
                let (now, earlier) = (group.bindings(), group.earlier_bindings());
                let fields = fields(group);
                quote!((Self::#name #now, Self::#name #earlier) => { #fields })
            });
            let other = (variants.len() > 1).then(|| quote!(_ => #other));
            quote!(match (self, earlier) { #(#arms)* #other })
        }
    }
}
