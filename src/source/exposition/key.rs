//! Keyed 128-bit names for heads and label sets: a page of a million lines is remembered in 16 bytes a line, and a
//! target that does not know the key cannot make two of its series look alike. Deliberately absent: the bytes.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_128_with_secret;

const SECRET_BYTES: usize = 192;

/// One reader's key.
#[derive(Clone)]
pub struct Key(Box<[u8; SECRET_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// From the random state of the standard library's hash maps.
    pub fn random() -> Self {
        let state = RandomState::new();
        let mut secret = [0; SECRET_BYTES];
        for (at, chunk) in secret.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&state.hash_one(at).to_le_bytes());
        }
        Self(Box::new(secret))
    }

    #[inline]
    pub fn bytes(&self, bytes: &[u8]) -> u128 {
        xxh3_128_with_secret(bytes, self.0.as_slice())
    }

    /// Of pairs in the order of their names; each piece after its length, so that pieces do not run together.
    pub fn labels<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
        scratch: &mut Vec<u8>,
    ) -> u128 {
        scratch.clear();
        for (name, value) in pairs {
            for piece in [name, value] {
                scratch.extend_from_slice(&(piece.len() as u64).to_le_bytes());
                scratch.extend_from_slice(piece.as_bytes());
            }
        }
        self.bytes(scratch)
    }

    /// The half of a name that tables are indexed by.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "half of the bits is what is asked for"
    )]
    pub const fn low(name: u128) -> u64 {
        name as u64
    }
}

/// For tables whose keys are such names: they are hashes already.
pub type Pass = BuildHasherDefault<PassHasher>;

#[derive(Debug, Default)]
pub struct PassHasher(u64);

impl Hasher for PassHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only 64-bit keys are used; folding the others keeps the contract of `Hasher`.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
