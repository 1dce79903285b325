//! The one setting that commands write: whether sessions are routed. Everything else in the file stays as it is.

use codex_auth_core::{StateDir, StoreError};
use codex_auth_store::PrivateDir;
use serde_json::{Map, Value, json};

use crate::{assemble::Product, error::CliError};

const NAME: &str = "settings.json";
const COPY: &str = "settings.json.bak";
const SECTION: &str = "pluginConfig";
const KEY: &str = "codexRuntimeRotationProxy";

/// What the file says; `None` when it says nothing.
pub(crate) fn stored(product: &Product) -> Result<Option<bool>, CliError> {
    let document = read(&directory(product), product)?;
    Ok(document.as_ref().and_then(|(_, document)| document.get(SECTION)?.get(KEY)?.as_bool()))
}

/// Makes the file say `enabled`, keeping every other key. As the predecessor does, the file as it was is copied first.
pub(crate) fn store(product: &Product, enabled: bool) -> Result<(), CliError> {
    let directory = directory(product);
    let base_lock = product.layout.base_lock();
    let name = base_lock.file_name().expect("the lock is a file of the directory");
    let _held = directory.try_lock(name)?.ok_or_else(|| StoreError::Locked {
        path: base_lock.to_string(),
        holder: "another process".to_owned(),
        waited_secs: 0,
    })?;
    let (before, mut document) = match read(&directory, product)? {
        Some((bytes, document)) => (Some(bytes), document),
        None => (None, Map::from_iter([("version".to_owned(), json!(1))])),
    };
    let section = document.entry(SECTION).or_insert_with(|| json!({}));
    let Some(section) = section.as_object_mut() else {
        return Err(unusable(product, &format!("its {SECTION} is not an object")).into());
    };
    if section.insert(KEY.to_owned(), json!(enabled)) == Some(json!(enabled)) {
        return Ok(());
    }
    if let Some(before) = before {
        directory.replace(COPY, &before)?;
    }
    directory.replace(NAME, format!("{:#}\n", Value::Object(document)).as_bytes())?;
    Ok(())
}

fn directory(product: &Product) -> PrivateDir {
    PrivateDir::new(product.layout.base())
}

type Read = (Vec<u8>, Map<String, Value>);

fn read(directory: &PrivateDir, product: &Product) -> Result<Option<Read>, StoreError> {
    let Some(bytes) = directory.read(NAME)? else { return Ok(None) };
    match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)) {
        Ok(Value::Object(document)) => Ok(Some((bytes, document))),
        Ok(_) => Err(unusable(product, "it is JSON but not an object")),
        Err(error) => Err(unusable(product, &format!("it is not JSON (line {})", error.line()))),
    }
}

fn unusable(product: &Product, why: &str) -> StoreError {
    StoreError::Unreadable {
        path: product.layout.settings().into_string(),
        why: format!("{why}; mend it or move it away"),
    }
}
