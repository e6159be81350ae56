//! `docs/schemas`, and holding what is printed against it.
#![allow(dead_code)]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Every schema by its name.
pub fn schemas() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(docs().join("schemas")).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let schema = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), schema)
        })
        .collect()
}

/// The same schema, in which an object has no fields but those described.
pub fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut all: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), closed(value))).collect();
            // A field may be called `properties`, but no schema of ours has one.
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                all.insert("additionalProperties".into(), false.into());
            }
            Value::Object(all)
        }
        Value::Array(list) => list.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// One schema, ready to hold things against.
pub struct Validator {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Validator {
    /// Why the schema is none otherwise.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        let id = schema["$id"].as_str().ok_or("no $id")?;
        compiler.add_resource(id, schema.clone()).map_err(|e| e.to_string())?;
        let index = compiler.compile(id, &mut schemas).map_err(|e| format!("{e:#}"))?;
        Ok(Self { schemas, index })
    }

    /// What is wrong with it.
    pub fn errors(&self, printed: &Value) -> Option<String> {
        self.schemas.validate(printed, self.index).err().map(|e| format!("{e:#}"))
    }
}

/// The schemas, and which of them something was held against.
pub struct Book {
    pub strict: BTreeMap<String, Validator>,
    pub seen: RefCell<BTreeSet<String>>,
}

impl Book {
    pub fn open() -> Self {
        let strict = schemas().into_iter().map(|(name, schema)| {
            let strict = Validator::new(&closed(&schema)).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, strict)
        });
        Self { strict: strict.collect(), seen: RefCell::default() }
    }

    pub fn hold(&self, name: &str, printed: &Value) {
        let schema = self.strict.get(name).unwrap_or_else(|| panic!("no schema {name}"));
        if let Some(wrong) = schema.errors(printed) {
            panic!("{name}: {wrong}\n{printed:#}");
        }
        self.seen.borrow_mut().insert(name.to_owned());
    }
}
