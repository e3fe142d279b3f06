//! What the attribute knows of a type, after refusing what cannot be a record.

use proc_macro2::{Span, TokenStream as Tokens, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, Index, Member, Result, Type, Visibility};

use crate::args::Args;

/// A record: its name, its content, and the paths to name things by.
pub(crate) struct Shape {
    pub(crate) name: Ident,
    pub(crate) content: Content,
    /// The path of the model crate.
    pub(crate) model: Tokens,
    /// The path of the re-exported encoders.
    pub(crate) private: Tokens,
    pub(crate) key: bool,
}

pub(crate) enum Content {
    Struct(Group),
    Enum(Vec<Variant>),
}

pub(crate) struct Variant {
    pub(crate) name: Ident,
    pub(crate) group: Group,
    pub(crate) discriminant: Option<Span>,
}

/// The fields of a struct or variant.
pub(crate) struct Group {
    pub(crate) fields: Vec<Field>,
    pub(crate) named: bool,
}

pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    pub(crate) vis: Visibility,
}

impl Field {
    /// The name as text; unnamed fields are numbered.
    pub(crate) fn label(&self) -> String {
        match &self.member {
            Member::Named(name) => name.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }

    /// A variable for the field's content.
    pub(crate) fn binding(&self) -> Ident {
        self.variable("field")
    }

    /// A variable for what the field's content was.
    pub(crate) fn earlier_binding(&self) -> Ident {
        self.variable("earlier")
    }

    fn variable(&self, kind: &str) -> Ident {
        match &self.member {
            Member::Named(name) => format_ident!("{}_{}", kind, name.unraw()),
            Member::Unnamed(index) => format_ident!("{}_{}", kind, index.index),
        }
    }
}

impl Group {
    /// `{ text: field_text, .. }`, as a pattern and as an expression.
    pub(crate) fn bindings(&self) -> Tokens {
        self.bound_to(Field::binding)
    }

    /// As [`Group::bindings`], with the names of what the fields were before.
    pub(crate) fn earlier_bindings(&self) -> Tokens {
        self.bound_to(Field::earlier_binding)
    }

    fn bound_to(&self, binding: impl Fn(&Field) -> Ident) -> Tokens {
        let pairs = self.fields.iter().map(|field| {
            let (member, binding) = (&field.member, binding(field));
            quote!(#member: #binding)
        });
        quote!({ #(#pairs),* })
    }

    fn of(fields: &Fields) -> Result<Self> {
        let mut group = Self { fields: Vec::new(), named: matches!(fields, Fields::Named(_)) };
        for (index, field) in fields.iter().enumerate() {
            refuse_attributes(&field.attrs)?;
            let member = match &field.ident {
                Some(name) => Member::Named(name.clone()),
                None => Member::Unnamed(Index { index: index as u32, span: field.span() }),
            };
            group.fields.push(Field { member, ty: field.ty.clone(), vis: field.vis.clone() });
        }
        Ok(group)
    }
}

impl Shape {
    pub(crate) fn of(args: &Args, input: &DeriveInput) -> Result<Self> {
        if !input.generics.params.is_empty() {
            let message = "a record cannot be generic: its bytes must mean one thing; write out \
                           the types, one record each";
            return Err(Error::new(input.generics.span(), message));
        }
        refuse_attributes(&input.attrs)?;
        let root = &args.root;
        let shape = Self {
            name: input.ident.clone(),
            content: content(input)?,
            model: quote!(#root::__private::model),
            private: quote!(#root::__private),
            key: args.key,
        };
        for field in shape.fields() {
            check_type(&shape.name, &field.ty)?;
        }
        Ok(shape)
    }

    /// All fields, of all variants.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        let (one, many) = match &self.content {
            Content::Struct(group) => (Some(group), None),
            Content::Enum(variants) => (None, Some(variants)),
        };
        one.into_iter()
            .chain(many.into_iter().flatten().map(|variant| &variant.group))
            .flat_map(|group| &group.fields)
    }
}

fn content(input: &DeriveInput) -> Result<Content> {
    match &input.data {
        Data::Struct(data) => Ok(Content::Struct(Group::of(&data.fields)?)),
        Data::Enum(data) if data.variants.is_empty() => {
            Err(Error::new(input.ident.span(), "a record needs a variant: add one"))
        }
        Data::Enum(data) => {
            let variant = |variant: &syn::Variant| {
                refuse_attributes(&variant.attrs)?;
                let discriminant = variant.discriminant.as_ref().map(|(_, value)| value.span());
                let group = Group::of(&variant.fields)?;
                Ok(Variant { name: variant.ident.clone(), group, discriminant })
            };
            Ok(Content::Enum(data.variants.iter().map(variant).collect::<Result<_>>()?))
        }
        Data::Union(_) => {
            Err(Error::new(input.ident.span(), "a union cannot be a record: use an enum"))
        }
    }
}

fn refuse_attributes(attributes: &[syn::Attribute]) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident("serde") || attribute.path().is_ident("rkyv") {
            let message = "the encodings of a record are fixed: remove this attribute";
            return Err(Error::new(attribute.span(), message));
        }
    }
    Ok(())
}

/// What is written by habit. The messages of what it lacks would hide that.
const STD_COLLECTIONS: [(&str, &str); 6] = [
    ("HashMap", "Map"),
    ("BTreeMap", "Map"),
    ("HashSet", "Set"),
    ("BTreeSet", "Set"),
    ("VecDeque", "List"),
    ("LinkedList", "List"),
];

fn check_type(name: &Ident, ty: &Type) -> Result<()> {
    for ident in idents(ty.to_token_stream()) {
        if ident == "usize" || ident == "isize" {
            let message = format!("the width of `{ident}` is not portable: use u64 or u32");
            return Err(Error::new(ident.span(), message));
        }
        if let Some((_, instead)) = STD_COLLECTIONS.iter().find(|(std, _)| ident == std) {
            let message = format!(
                "`{ident}` cannot be in a record: it is copied whole, or has no order; use `{instead}`"
            );
            return Err(Error::new(ident.span(), message));
        }
        if ident == *name || ident == "Self" {
            let message = "a record cannot contain itself: keep the parts under keys of their own \
                           in a map, and refer to them by key";
            return Err(Error::new(ident.span(), message));
        }
    }
    Ok(())
}

fn idents(tokens: Tokens) -> Vec<Ident> {
    let inside = |tree| match tree {
        TokenTree::Ident(ident) => vec![ident],
        TokenTree::Group(group) => idents(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
    };
    tokens.into_iter().flat_map(inside).collect()
}
