//! Small files that are complete or absent: written aside, synced, renamed over.
//!
//! What is in them is the caller's, and so is the number of its version. A checksum covers all of it.

use std::io;
use std::path::Path;

use crate::bytes::{array_at, put, u32_at, u64_at};
use crate::log::first_unreadable;
use crate::{LogError, Storage};

const MAGIC: [u8; 8] = *b"GRIDMANI";
/// The version of the payload where the caller names none.
const FIRST_VERSION: u32 = 1;
const HEADER: usize = 24;
const HINT: &str = "restore the file from a backup; nothing was changed";

/// Puts `payload` into the file `name` of `dir`, in place of what it held. When this returns, the
/// new content is durable; when it fails, the old content stands, or after a power loss either.
///
/// # Errors
/// [`LogError::StorageFull`] and [`LogError::Io`].
///
/// ```
/// use std::path::Path;
/// use gridmill_persistence::{SimStorage, manifest};
///
/// # fn main() -> Result<(), gridmill_persistence::LogError> {
/// let storage = SimStorage::new();
/// manifest::write_atomic(&storage, Path::new(""), "manifest", b"runs: 1, 2")?;
/// let read = manifest::read_checked(&storage, Path::new(""), "manifest")?;
/// assert_eq!(read.as_deref(), Some(&b"runs: 1, 2"[..]));
/// # Ok(())
/// # }
/// ```
pub fn write_atomic(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
    payload: &[u8],
) -> Result<(), LogError> {
    write_versioned(storage, dir, name, FIRST_VERSION, payload)
}

/// As [`write_atomic`], for a payload of the given version.
///
/// # Errors
/// As [`write_atomic`].
///
/// ```
/// use std::path::Path;
/// use gridmill_persistence::{SimStorage, manifest};
///
/// # fn main() -> Result<(), gridmill_persistence::LogError> {
/// let (storage, dir) = (SimStorage::new(), Path::new(""));
/// manifest::write_versioned(&storage, dir, "manifest", 2, b"runs: 1, 2")?;
/// let read = manifest::read_versioned(&storage, dir, "manifest", 2)?;
/// assert_eq!(read, Some((2, b"runs: 1, 2".to_vec())));
/// // A build that knows version 1 only.
/// assert!(manifest::read_versioned(&storage, dir, "manifest", 1).is_err());
/// # Ok(())
/// # }
/// ```
pub fn write_versioned(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
    version: u32,
    payload: &[u8],
) -> Result<(), LogError> {
    let (aside, path) = (dir.join(format!("{name}.tmp")), dir.join(name));
    let write = || -> io::Result<()> {
        match storage.remove(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = storage.create(&aside)?;
        file.write_at(0, &encode(version, payload))?;
        file.sync()?;
        storage.rename(&aside, &path)?;
        storage.sync_dir(dir)
    };
    write().map_err(|source| LogError::io("write", storage.display(&path), source))
}

/// What the file `name` of `dir`, of the first version, holds; `None` where there is no such file.
///
/// # Errors
/// [`LogError::Damaged`] when the file is not whole, [`LogError::UnknownVersion`],
/// [`LogError::Io`].
pub fn read_checked(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
) -> Result<Option<Vec<u8>>, LogError> {
    let read = read_versioned(storage, dir, name, FIRST_VERSION)?;
    Ok(read.map(|(_, payload)| payload))
}

/// What the file `name` of `dir` holds, with its version, which is `newest` at most; `None` where
/// there is no such file.
///
/// # Errors
/// As [`read_checked`].
pub fn read_versioned(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
    newest: u32,
) -> Result<Option<(u32, Vec<u8>)>, LogError> {
    let path = dir.join(name);
    let file = match storage.open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened,
    };
    let opened = file.and_then(|file| Ok((file.len()?, file)));
    let (len, file) =
        opened.map_err(|source| LogError::io("open", storage.display(&path), source))?;
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes).map_err(|source| {
        LogError::unreadable(storage.display(&path), first_unreadable(&*file, 0..len), source)
    })?;
    let (version, payload) = decode(&storage.display(&path), &bytes, newest)?;
    Ok(Some((version, payload.to_vec())))
}

fn encode(version: u32, payload: &[u8]) -> Vec<u8> {
    let mut file = vec![0; HEADER];
    put(&mut file, 0, &MAGIC);
    put(&mut file, 8, &version.to_le_bytes());
    put(&mut file, 16, &(payload.len() as u64).to_le_bytes());
    file.extend_from_slice(payload);
    let crc = checksum(&file);
    put(&mut file, 12, &crc.to_le_bytes());
    debug_assert!(
        decode(Path::new(""), &file, version).is_ok_and(|read| read == (version, payload)),
        "what is written is read"
    );
    file
}

/// The version and the payload in the `bytes` of `file`.
fn decode<'a>(file: &Path, bytes: &'a [u8], newest: u32) -> Result<(u32, &'a [u8]), LogError> {
    let damaged = |offset, expected, got| {
        Err(LogError::Damaged { file: file.to_path_buf(), offset, expected, got, hint: HINT })
    };
    let magic = array_at::<8>(bytes, 0);
    if bytes.len() < HEADER || magic != MAGIC {
        return damaged(0, format!("magic {MAGIC:02x?}"), format!("{magic:02x?}"));
    }
    let (held, crc) = (u32_at(bytes, 12), checksum(bytes));
    if held != crc {
        return damaged(12, format!("checksum {crc:#010x}"), format!("{held:#010x}"));
    }
    let version = u32_at(bytes, 8);
    if !(FIRST_VERSION..=newest).contains(&version) {
        let (file, expected) = (file.to_path_buf(), newest);
        return Err(LogError::UnknownVersion { file, expected, got: version });
    }
    let (len, payload) = (u64_at(bytes, 16), &bytes[HEADER..]);
    if len != payload.len() as u64 {
        return damaged(16, format!("{len} bytes"), format!("{} bytes", payload.len()));
    }
    Ok((version, payload))
}

/// Over all but the field that holds it.
fn checksum(file: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&file[..12]), &file[16..])
}
