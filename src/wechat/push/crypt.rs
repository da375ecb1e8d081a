//! The encryption of pushes: AES-256-CBC, whose IV is the beginning of the key, with padding to 32 bytes.

use std::fmt;

use aes::{
    Aes256, Block,
    cipher::{BlockModeDecrypt, KeyIvInit},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// As WeChat makes keys: 43 characters, of which the last one may hold two bits too many.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The length of an `EncodingAESKey`.
const KEY_CHARS: usize = 43;

/// A message is padded to a multiple of so many bytes.
const PADDED_TO: usize = 32;

/// What stands before a message: 16 random bytes, and its length in 4.
const HEAD: usize = 20;

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the EncodingAESKey of WeChat's console: 43 letters and digits")]
pub struct InvalidAesKey;

/// What pushes are encrypted with.
#[derive(Clone)]
pub struct AesKey([u8; 32]);

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey")
    }
}

impl AesKey {
    /// Reads an `EncodingAESKey`.
    pub fn parse(text: &str) -> Result<Self, InvalidAesKey> {
        let key = Some(text).filter(|text| text.len() == KEY_CHARS);
        let key = key.and_then(|text| BASE64.decode(text).ok()).ok_or(InvalidAesKey)?;
        key.try_into().map(Self).map_err(|_| InvalidAesKey)
    }

    /// The message and the appid in an encrypted text. `None`: another key, or broken.
    pub(super) fn decrypt(&self, text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut bytes = BASE64.decode(text).ok()?;
        if bytes.is_empty() || bytes.len() % PADDED_TO != 0 {
            return None;
        }
        let (iv, _) = self.0.split_first_chunk::<16>()?;
        let mut cipher = cbc::Decryptor::<Aes256>::new(&self.0.into(), &(*iv).into());
        for block in bytes.chunks_exact_mut(size_of::<Block>()) {
            cipher.decrypt_block(block.try_into().ok()?);
        }
        let padding = *bytes.last()?;
        let length = bytes.len().checked_sub(padding.into())?;
        let (message, padded) = bytes.split_at(length);
        let is_padded = (1..=PADDED_TO).contains(&padding.into());
        if !is_padded || padded.iter().any(|byte| *byte != padding) {
            return None;
        }
        let (head, rest) = message.split_at_checked(HEAD)?;
        let length = u32::from_be_bytes(*head.last_chunk()?);
        let (message, appid) = rest.split_at_checked(length.try_into().ok()?)?;
        Some((message.to_vec(), appid.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl enc -aes-256-cbc -nopad` of a message that was padded by hand. The key is not all the same
    /// byte, so a wrong IV shows.
    const KEY: &str = "Xm3vQ8rT0kLwZ1yBn7cJ5hFdS2gPaE9uViKoR4tYq6x";
    const ENCRYPTED: &str = "BHbLpo9Z2lxo576AhgOIRk/HTdeQb/FApia9w/nMsFiyQOvQqUZG6xqnWjvpMGMKNAkI/tRhzp8Gj9qE\
        GhoOdDuGffsA43J2tUv8AvuTcm8JzgLpfFr5VrMg5nNL4lWpvYIeXqMMUXCjSkILg7MQsCDC4lXv4CnNm4G8A8zW/Tk=";

    #[test]
    fn a_message_is_read_with_its_appid() {
        let key = AesKey::parse(KEY).unwrap();
        let (message, appid) = key.decrypt(ENCRYPTED).unwrap();
        assert_eq!(
            message,
            r#"{"ToUserName":"gh_1","Event":"x","CreateTime":1795772459,"FromUserName":"用户"}"#
                .as_bytes()
        );
        assert_eq!(appid, b"wx0123456789");
    }

    #[test]
    fn what_is_broken_is_not_read() {
        let key = AesKey::parse(KEY).unwrap();
        let other = AesKey::parse(&"b".repeat(43)).unwrap();
        assert_eq!(other.decrypt(ENCRYPTED), None);
        let bytes = BASE64.decode(ENCRYPTED).unwrap();
        let without_padding = BASE64.encode(&bytes[..bytes.len() - 32]);
        let odd = BASE64.encode(&bytes[..bytes.len() - 1]);
        for broken in ["", "x", "你好", &without_padding, &odd] {
            assert_eq!(key.decrypt(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_key_has_43_characters_whatever_bits_the_last_one_has() {
        for last in ['A', 'B', 'z', '9'] {
            assert!(AesKey::parse(&format!("{}{last}", "a".repeat(42))).is_ok(), "{last}");
        }
        for wrong in [String::new(), "a".repeat(42), "a".repeat(44), "!".repeat(43)] {
            assert_eq!(AesKey::parse(&wrong).err(), Some(InvalidAesKey), "{wrong}");
        }
    }
}
