//! Metadata as a [`Presentation`] shows it: the native metadata with types renamed and what that runtime has not taken out.
//!
//! Invariant: only descriptions change, never bytes: a composite of one field encodes as its field.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed, v14::StorageEntryType};
use parity_scale_codec::{Decode, Encode};
use scale_info::{
    Field, Path, PortableRegistry, PortableType, Type, TypeDef, TypeDefCompact, TypeDefComposite, TypeDefPrimitive,
    TypeDefSequence, TypeDefTuple, TypeDefVariant, TypeParameter, Variant, form::PortableForm,
};

use crate::{Presentation, Runtime};

/// Newtypes of newer runtimes: name, what it wraps.
const NEWTYPES: [(&str, TypeDefPrimitive); 3] = [
    ("NetUid", TypeDefPrimitive::U16),
    ("NetUidStorageIndex", TypeDefPrimitive::U16),
    ("MechId", TypeDefPrimitive::U8),
];
/// Storage items whose first key is a `NetUidStorageIndex`; every other first or last `u16` key is a `NetUid`.
const BY_INDEX: [&str; 6] = ["Incentive", "LastUpdate", "Weights", "Bonds", "WeightCommits", "TimelockedWeightCommits"];
/// Arguments of runtime API functions.
const ARGUMENTS: [(&str, &str); 3] = [("netuid", "NetUid"), ("mecid", "MechId"), ("subid", "MechId")];

/// Metadata of the state at hand in a version (14, 15 or 16), prefixed; `None` for other versions.
pub fn at_version(version: u32) -> Option<Vec<u8>> {
    /// By version, presentation and pace (a constant): making it takes longer than everything else that a client asks for.
    type Made = HashMap<(u32, Presentation, u64), Vec<u8>>;
    static MADE: OnceLock<Mutex<Made>> = OnceLock::new();
    let key = (version, Presentation::now(), <starling_pallets::aura::Pace as frame_support::traits::Get<u64>>::get());
    let made = MADE.get_or_init(Mutex::default);
    if let Some(bytes) = made.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Some(bytes.clone());
    }
    let bytes = present(version, &key.1)?;
    made.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bytes.clone());
    Some(bytes)
}

/// As [`at_version`], for a given presentation.
pub fn present(version: u32, as_: &Presentation) -> Option<Vec<u8>> {
    let native: Vec<u8> = match version {
        14 => Runtime::metadata().into(),
        _ => (*Runtime::metadata_at_version(version)?).clone(),
    };
    // What the macros made a moment ago reads back; if not, it is shown as it is.
    let Ok(RuntimeMetadataPrefixed(magic, mut metadata)) = RuntimeMetadataPrefixed::decode(&mut &native[..]) else {
        return Some(native);
    };
    macro_rules! edit {
        ($metadata:expr) => {{
            let metadata = $metadata;
            let mut types = as_.composite_ids.then(|| Newtypes::add(&mut metadata.types)).flatten();
            for pallet in &mut metadata.pallets {
                let Some(storage) = &mut pallet.storage else { continue };
                if pallet.name == "SubtensorModule" {
                    storage.entries.retain(|entry| as_.has_storage(&entry.name));
                }
                if let Some(types) =
                    types.as_mut().filter(|_| ["SubtensorModule", "Commitments"].contains(&&*pallet.name))
                {
                    for entry in &mut storage.entries {
                        if let StorageEntryType::Map { key, .. } = &mut entry.ty {
                            let name = if BY_INDEX.contains(&&*entry.name) { "NetUidStorageIndex" } else { "NetUid" };
                            key.id = types.key(&mut metadata.types, key.id, name);
                        }
                    }
                }
            }
            types
        }};
    }
    macro_rules! edit_apis {
        ($metadata:expr, $types:expr) => {{
            let (metadata, types) = ($metadata, $types);
            for api in &mut metadata.apis {
                api.methods.retain(|method| as_.has_function(&format!("{}_{}", api.name, method.name)));
                for input in api.methods.iter_mut().flat_map(|method| &mut method.inputs) {
                    let name = ARGUMENTS.iter().find(|(argument, _)| input.name == *argument).map(|(_, name)| *name);
                    if let (Some(types), Some(name)) = (&types, name) {
                        input.ty.id = types.plain(&metadata.types, input.ty.id, name);
                    }
                }
            }
        }};
    }
    match &mut metadata {
        RuntimeMetadata::V14(metadata) => {
            let _ = edit!(&mut *metadata);
        }
        RuntimeMetadata::V15(metadata) => {
            let types = edit!(&mut *metadata);
            edit_apis!(&mut *metadata, types);
        }
        RuntimeMetadata::V16(metadata) => {
            let types = edit!(&mut *metadata);
            edit_apis!(&mut *metadata, types);
        }
        _ => {}
    }
    Some(RuntimeMetadataPrefixed(magic, metadata).encode())
}

/// The newtypes within a registry, and what is built of them, by source name.
struct Newtypes {
    ids: HashMap<String, u32>,
    /// Ids of the plain `u16` and `u8`.
    u16: u32,
    u8: u32,
}

fn push(
    registry: &mut PortableRegistry,
    path: &[&str],
    params: Vec<TypeParameter<PortableForm>>,
    def: TypeDef<PortableForm>,
) -> u32 {
    let id = u32::try_from(registry.types.len()).unwrap_or(u32::MAX);
    let path = Path::from_segments_unchecked(path.iter().map(|segment| (*segment).to_owned()));
    registry.types.push(PortableType { id, ty: Type { path, type_params: params, type_def: def, docs: Vec::new() } });
    id
}

fn field(id: u32, type_name: &str) -> Field<PortableForm> {
    Field { name: None, ty: id.into(), type_name: Some(type_name.to_owned()), docs: Vec::new() }
}

impl Newtypes {
    /// Adds the newtypes, and points every field to them whose source says so. `None` for a registry without plain numbers.
    fn add(registry: &mut PortableRegistry) -> Option<Self> {
        let primitive = |registry: &PortableRegistry, wanted: &TypeDefPrimitive| {
            registry
                .types
                .iter()
                .find(|ty| matches!(&ty.ty.type_def, TypeDef::Primitive(found) if found == wanted))
                .map(|ty| ty.id)
        };
        let u16 = primitive(registry, &TypeDefPrimitive::U16)?;
        let u8 = primitive(registry, &TypeDefPrimitive::U8)?;
        let mut this = Self { ids: HashMap::new(), u16, u8 };
        for (name, inner) in NEWTYPES {
            let (id, inner) = if inner == TypeDefPrimitive::U8 { (u8, "u8") } else { (u16, "u16") };
            let def = TypeDef::Composite(TypeDefComposite { fields: vec![field(id, inner)] });
            let id = push(registry, &["subtensor_runtime_common", name], Vec::new(), def);
            this.ids.insert(name.to_owned(), id);
        }
        for index in 0..registry.types.len() {
            let Some(mut def) = registry.types.get(index).map(|ty| ty.ty.type_def.clone()) else { continue };
            let fields: Vec<&mut Field<PortableForm>> = match &mut def {
                // The newtypes themselves are built of plain numbers.
                TypeDef::Composite(composite) => composite.fields.iter_mut().collect(),
                TypeDef::Variant(variants) => variants.variants.iter_mut().flat_map(|v| &mut v.fields).collect(),
                _ => continue,
            };
            let mut changed = false;
            for field in fields {
                let Some(id) = field.type_name.clone().and_then(|name| this.named(registry, &name)) else { continue };
                field.ty = id.into();
                changed = true;
            }
            if let Some(ty) = registry.types.get_mut(index).filter(|_| changed) {
                ty.ty.type_def = def;
            }
        }
        Some(this)
    }

    /// The type of a source name that mentions a newtype: the newtype, or `Vec`, `Option` and `Compact` around it.
    fn named(&mut self, registry: &mut PortableRegistry, name: &str) -> Option<u32> {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        let name =
            name.rsplit_once("::").filter(|(path, _)| !path.contains('<')).map_or(name.as_str(), |(_, last)| last);
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let (outer, inner) = name.strip_suffix('>')?.split_once('<')?;
        let id = self.named(registry, inner)?;
        let parameter = || TypeParameter { name: "T".into(), ty: Some(id.into()) };
        let made = match outer {
            "Vec" => push(registry, &[], vec![], TypeDef::Sequence(TypeDefSequence { type_param: id.into() })),
            "Compact" => push(registry, &[], vec![], TypeDef::Compact(TypeDefCompact { type_param: id.into() })),
            "Option" => {
                let variant =
                    |name: &str, index, fields| Variant { name: name.into(), fields, index, docs: Vec::new() };
                let some = Field { name: None, ty: id.into(), type_name: None, docs: Vec::new() };
                let variants = vec![variant("None", 0, Vec::new()), variant("Some", 1, vec![some])];
                push(registry, &["Option"], vec![parameter()], TypeDef::Variant(TypeDefVariant { variants }))
            }
            _ => return None,
        };
        self.ids.insert(name.to_owned(), made);
        Some(made)
    }

    /// The newtype in place of the plain number that it wraps; any other type stays.
    fn plain(&self, _: &PortableRegistry, id: u32, name: &str) -> u32 {
        if id == self.u16 || id == self.u8 { self.ids.get(name).copied().unwrap_or(id) } else { id }
    }

    /// A map's key: a plain number, or a tuple whose first (or else last) part is one. Second numbers are uids.
    fn key(&mut self, registry: &mut PortableRegistry, id: u32, name: &str) -> u32 {
        let Some(TypeDef::Tuple(tuple)) = registry.types.get(id as usize).map(|ty| ty.ty.type_def.clone()) else {
            return if id == self.u16 { self.plain(registry, id, name) } else { id };
        };
        let mut fields = tuple.fields;
        let number = |field: Option<&_>| {
            field.is_some_and(|field: &scale_info::interner::UntrackedSymbol<_>| field.id == self.u16)
        };
        let place = if number(fields.first()) { 0 } else { fields.len().saturating_sub(1) };
        let Some(new) = self.ids.get(name).copied() else { return id };
        match fields.get_mut(place).filter(|field| field.id == self.u16) {
            Some(field) => *field = new.into(),
            None => return id,
        }
        let text: Vec<String> = fields.iter().map(|field| field.id.to_string()).collect();
        let text = format!("({})", text.join(","));
        if let Some(known) = self.ids.get(&text) {
            return *known;
        }
        let made = push(registry, &[], vec![], TypeDef::Tuple(TypeDefTuple { fields }));
        self.ids.insert(text, made);
        made
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use frame_metadata::v16::RuntimeMetadataV16;

    fn v16(as_: &Presentation) -> RuntimeMetadataV16 {
        let bytes = present(16, as_).unwrap();
        let mut rest = &bytes[..];
        let decoded = RuntimeMetadataPrefixed::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        match decoded.1 {
            RuntimeMetadata::V16(metadata) => metadata,
            other => panic!("version {}", other.version()),
        }
    }

    fn name(metadata: &RuntimeMetadataV16, id: u32) -> String {
        let ty = metadata.types.resolve(id).unwrap();
        match (ty.path.segments.last(), &ty.type_def) {
            (Some(last), _) if last != "Option" => last.clone(),
            (Some(_), _) => format!("Option<{}>", name(metadata, ty.type_params[0].ty.unwrap().id)),
            (None, TypeDef::Primitive(p)) => format!("{p:?}").to_lowercase(),
            (None, TypeDef::Sequence(s)) => format!("Vec<{}>", name(metadata, s.type_param.id)),
            (None, TypeDef::Compact(c)) => format!("Compact<{}>", name(metadata, c.type_param.id)),
            (None, TypeDef::Tuple(t)) => {
                let parts: Vec<String> = t.fields.iter().map(|field| name(metadata, field.id)).collect();
                format!("({})", parts.join(","))
            }
            (None, other) => panic!("{other:?}"),
        }
    }

    /// Call, argument, type.
    fn calls(metadata: &RuntimeMetadataV16) -> Vec<(String, String, String)> {
        let pallet = metadata.pallets.iter().find(|pallet| pallet.name == "SubtensorModule").unwrap();
        let TypeDef::Variant(variants) =
            &metadata.types.resolve(pallet.calls.as_ref().unwrap().ty.id).unwrap().type_def
        else {
            panic!("calls are an enum")
        };
        let each = |call: &Variant<PortableForm>| {
            let call_name = call.name.clone();
            let fields: Vec<_> = call
                .fields
                .iter()
                .map(|field| (call_name.clone(), field.name.clone().unwrap(), name(metadata, field.ty.id)))
                .collect();
            fields
        };
        variants.variants.iter().flat_map(each).collect()
    }

    fn storage(metadata: &RuntimeMetadataV16, pallet: &str, item: &str) -> Option<String> {
        let pallet = metadata.pallets.iter().find(|found| found.name == pallet).unwrap();
        let entry = pallet.storage.as_ref().unwrap().entries.iter().find(|entry| entry.name == item)?;
        Some(match &entry.ty {
            StorageEntryType::Map { key, .. } => name(metadata, key.id),
            StorageEntryType::Plain(_) => String::new(),
        })
    }

    fn functions(metadata: &RuntimeMetadataV16) -> Vec<String> {
        let each = |api: &frame_metadata::v16::RuntimeApiMetadata<PortableForm>| {
            api.methods.iter().map(|method| method.name.clone()).collect::<Vec<_>>()
        };
        metadata.apis.iter().flat_map(each).collect()
    }

    #[test]
    fn newer_runtimes_know_net_uid_as_a_composite_wherever_it_stands() {
        let new = v16(&Presentation::of(466));
        let mut seen = 0;
        for (call, argument, ty) in calls(&new) {
            if argument.ends_with("netuid") {
                assert!(["NetUid", "Option<NetUid>"].contains(&&*ty), "{call}.{argument}: {ty}");
                seen += 1;
            }
            if argument == "netuids" {
                assert_eq!(ty, "Vec<Compact<NetUid>>", "{call}");
            }
            if argument == "mecid" {
                assert_eq!(ty, "MechId", "{call}");
            }
            if ["dests", "uids", "weights"].contains(&&*argument) && call == "set_weights" {
                assert_eq!(ty, "Vec<u16>", "{call}.{argument} are no subnets");
            }
        }
        assert!(seen > 10);
        let key = |item| storage(&new, "SubtensorModule", item).unwrap();
        assert_eq!(key("Tempo"), "NetUid");
        assert_eq!(key("Keys"), "(NetUid,u16)");
        assert_eq!(key("Uids"), "(NetUid,AccountId32)");
        assert_eq!(key("IsNetworkMember"), "(AccountId32,NetUid)");
        assert_eq!(key("Alpha"), "(AccountId32,AccountId32,NetUid)");
        assert_eq!(key("Weights"), "(NetUidStorageIndex,u16)");
        assert_eq!(key("Owner"), "AccountId32");
        assert_eq!(storage(&new, "Commitments", "CommitmentOf").unwrap(), "(NetUid,AccountId32)");
        let graph =
            new.types.types.iter().find(|ty| ty.ty.path.segments.last().is_some_and(|last| last == "Metagraph"));
        let TypeDef::Composite(graph) = &graph.unwrap().ty.type_def else { panic!("a struct") };
        assert_eq!(name(&new, graph.fields[0].ty.id), "Compact<NetUid>");
        let api = new.apis.iter().find(|api| api.name == "SubnetInfoRuntimeApi").unwrap();
        let method = api.methods.iter().find(|method| method.name == "get_mechagraph").unwrap();
        assert_eq!(method.inputs.iter().map(|i| name(&new, i.ty.id)).collect::<Vec<_>>(), ["NetUid", "MechId"]);
    }

    #[test]
    fn older_runtimes_know_plain_numbers_and_nothing_of_the_newtypes() {
        for spec in [240, 365, 425] {
            let old = v16(&Presentation::of(spec));
            assert!(
                calls(&old)
                    .iter()
                    .all(|(_, argument, ty)| argument != "netuid" || ["u16", "Option<u16>"].contains(&&**ty))
            );
            let named = |ty: &PortableType| ty.ty.path.segments.last().is_some_and(|last| last == "NetUid");
            assert!(!old.types.types.iter().any(named), "{spec}");
        }
    }

    #[test]
    fn each_runtime_has_its_hyperparameters_and_its_storage() {
        for (spec, v2, v3, removed) in
            [(240, false, false, true), (365, true, false, true), (425, true, true, false), (466, true, true, false)]
        {
            let metadata = v16(&Presentation::of(spec));
            let functions = functions(&metadata);
            let has = |name: &str| functions.iter().any(|found| found == name);
            assert!(has("get_subnet_hyperparams"), "{spec}");
            assert_eq!((has("get_subnet_hyperparams_v2"), has("get_subnet_hyperparams_v3")), (v2, v3), "{spec}");
            for item in ["Rank", "Trust", "PruningScores"] {
                assert_eq!(storage(&metadata, "SubtensorModule", item).is_some(), removed, "{spec} {item}");
            }
        }
    }

    #[test]
    fn every_presentation_decodes_in_every_version_and_no_type_is_missing() {
        for kind in Presentation::KINDS {
            for version in [14, 15, 16] {
                let bytes = present(version, &kind).unwrap();
                let mut rest = &bytes[..];
                let RuntimeMetadataPrefixed(_, metadata) = RuntimeMetadataPrefixed::decode(&mut rest).unwrap();
                assert_eq!((metadata.version(), rest.len()), (version, 0));
            }
            let metadata = v16(&kind);
            for (id, ty) in metadata.types.types.iter().enumerate() {
                assert_eq!(ty.id as usize, id, "a type's id is its place");
            }
        }
        assert_eq!(present(13, &Presentation::CURRENT), None);
    }
}
