//! Types in the words of `public-381.txt`: the last segment of a path, `Option`, `BoundedVec` and `BTreeMap` with their parameters,
//! everything else as it is built.

use frame_metadata::v14::StorageEntryType;
use frame_metadata::v16::{StorageEntryMetadata, StorageEntryModifier};
use scale_info::{Field, PortableRegistry, TypeDef, Variant, form::PortableForm};

/// Names for the types of a registry.
pub struct Names<'a>(pub &'a PortableRegistry);

/// One storage item.
pub struct StorageLine {
    pub modifier: String,
    pub shape: String,
    pub default: String,
}

impl Names<'_> {
    pub fn name(&self, id: u32) -> String {
        let ty = self.0.resolve(id).unwrap();
        if let Some(last) = ty.path.segments.last() {
            let parameters: Vec<String> =
                ty.type_params.iter().filter_map(|p| p.ty.as_ref()).map(|p| self.name(p.id)).collect();
            let shown = ["Option", "BoundedVec", "BTreeMap"].contains(&last.as_str()) && !parameters.is_empty();
            // The public fixed-point types carry the width of their fraction as a parameter; it is not part of the bytes.
            let suffix = if last.starts_with("Fixed") { "<UInt>".to_owned() } else { String::new() };
            return if shown { format!("{last}<{}>", parameters.join(",")) } else { format!("{last}{suffix}") };
        }
        match &ty.type_def {
            TypeDef::Primitive(primitive) => format!("{primitive:?}").to_lowercase(),
            TypeDef::Sequence(sequence) => format!("Vec<{}>", self.name(sequence.type_param.id)),
            TypeDef::Array(array) => format!("[{};{}]", self.name(array.type_param.id), array.len),
            TypeDef::Tuple(tuple) => {
                let parts: Vec<String> = tuple.fields.iter().map(|field| self.name(field.id)).collect();
                format!("({})", parts.join(","))
            }
            TypeDef::Compact(compact) => format!("Compact<{}>", self.name(compact.type_param.id)),
            other => panic!("no name for {other:?}"),
        }
    }

    pub fn fields(&self, fields: &[Field<PortableForm>]) -> String {
        let line = |field: &Field<PortableForm>| {
            format!("{}: {}", field.name.as_deref().unwrap_or("_"), self.name(field.ty.id))
        };
        fields.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    pub fn variants(&self, id: u32) -> Vec<Variant<PortableForm>> {
        match &self.0.resolve(id).unwrap().type_def {
            TypeDef::Variant(variants) => variants.variants.clone(),
            other => panic!("no enum: {other:?}"),
        }
    }

    pub fn storage(&self, entry: &StorageEntryMetadata<PortableForm>) -> StorageLine {
        let shape = match &entry.ty {
            StorageEntryType::Plain(ty) => self.name(ty.id),
            StorageEntryType::Map { hashers, key, value } => {
                let hashers: Vec<String> = hashers.iter().map(|hasher| format!("{hasher:?}")).collect();
                format!("{} {} -> {}", hashers.join(","), self.name(key.id), self.name(value.id))
            }
        };
        let modifier = match entry.modifier {
            StorageEntryModifier::Optional => "Optional",
            StorageEntryModifier::Default => "Default",
        };
        StorageLine { modifier: modifier.to_owned(), shape, default: hex::encode(&entry.default) }
    }

    /// Name and fields of a struct of the pallets, or of the enum `Data`.
    pub fn definition(&self, id: u32) -> Option<(String, String)> {
        let ty = self.0.resolve(id).unwrap();
        if !ty.path.segments.first()?.contains("pallet") {
            return None;
        }
        let name = ty.path.segments.last()?.clone();
        match &ty.type_def {
            TypeDef::Composite(composite) => Some((name, self.fields(&composite.fields))),
            TypeDef::Variant(variants) if name == "Data" => {
                let line = |variant: &Variant<PortableForm>| {
                    format!("{} {}({})", variant.index, variant.name, self.fields(&variant.fields))
                };
                Some((name, variants.variants.iter().map(line).collect::<Vec<_>>().join("; ")))
            }
            _ => None,
        }
    }
}
