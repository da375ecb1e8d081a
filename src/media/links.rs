//! The URLs of media: signed, the same for a day, and good without a token.

use std::{borrow::Cow, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::RwLock;
use ring::hmac;
use serde::Deserialize;

use super::Variant;
use crate::{
    clock::{Clock, Timestamp},
    domain::{Chat, ChatKind, MediaId, MediaKind, Payload},
    store::MediaKey,
};

/// A URL is good until the end of the day after the one on which it was made, in UTC: for a day at least, and
/// for two at most.
const DAY_SECS: i64 = 24 * 60 * 60;

/// How long a key is good after it was replaced: as long as a URL that it has signed.
pub const KEY_KEEPS: Duration = Duration::from_hours(48);

/// Makes and checks URLs. Clones share the keys.
#[derive(Clone)]
pub struct MediaLinks(Arc<Inner>);

struct Inner {
    /// What stands before the path; empty where that is not known.
    base: String,
    clock: Clock,
    /// The newest first.
    keys: RwLock<Vec<Key>>,
}

struct Key {
    id: i64,
    secret: hmac::Key,
    /// `None` while it signs.
    good_until: Option<Timestamp>,
}

/// What a URL says to be let through.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The key that has signed it.
    pub key: i64,
    /// When it ends, in seconds since 1970.
    pub expiry: i64,
    /// The signature, in base64 for URLs.
    pub signature: &'a str,
}

/// Why a URL is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its key is not known: it may be a new one.
    UnknownKey,
    /// It is too old, or was not made here.
    Invalid,
}

/// What a stored body says of the media that it shows.
#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "mediaId")]
    media_id: MediaId,
}

impl MediaLinks {
    /// URLs that begin with `base`, such as `https://chat.example.com`. Before [`MediaLinks::set_keys`]
    /// there are none.
    pub fn new(base: String, clock: Clock) -> Self {
        Self(Arc::new(Inner { base, clock, keys: RwLock::default() }))
    }

    /// Takes these keys, the newest first, instead of those before.
    pub fn set_keys(&self, keys: &[MediaKey]) {
        let replaced = std::iter::once(None).chain(keys.iter().map(|key| Some(key.created_at)));
        let keys = keys.iter().zip(replaced).map(|(key, replaced)| Key {
            id: key.id,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &key.secret),
            good_until: replaced.map(|at| at.after(KEY_KEEPS)),
        });
        *self.0.keys.write() = keys.collect();
    }

    /// The URL of this, which is the same all day.
    pub fn url(&self, id: MediaId, variant: Variant) -> String {
        let today = self.0.clock.now().as_millis().div_euclid(DAY_SECS * 1_000);
        let expiry = (today + 2) * DAY_SECS;
        let keys = self.0.keys.read();
        let key = keys.first().expect("the first key is made before anything is served");
        let signature = hmac::sign(&key.secret, signed(id, variant, expiry).as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let (base, variant, key) = (&self.0.base, variant.as_str(), key.id);
        format!("{base}/v1/media/{id}/{variant}?e={expiry}&k={key}&s={signature}")
    }

    /// Puts the URLs of what a chat shows into its body.
    pub fn show(&self, chat: &mut Chat) {
        chat.body = chat.body.take().map(|body| self.fill(&chat.kind, &body));
    }

    /// As [`MediaLinks::show`], in each of these.
    pub fn show_all(&self, chats: &mut [Chat]) {
        for chat in chats {
            self.show(chat);
        }
    }

    /// A chat with the URLs of what it shows.
    pub fn shown<'a>(&self, chat: &'a Chat) -> Cow<'a, Chat> {
        let mut chat = Cow::Borrowed(chat);
        if MediaKind::parse(chat.kind.as_str()).is_some() {
            self.show(chat.to_mut());
        }
        chat
    }

    /// The body of a chat of this kind as it is shown: what is stored, with the URLs of what it shows. Of another kind of
    /// chat, or where no media is named, the body itself.
    pub fn fill(&self, kind: &ChatKind, body: &Payload) -> Payload {
        let Some(kind) = MediaKind::parse(kind.as_str()) else { return body.clone() };
        let Ok(Shown { media_id: id }) = serde_json::from_str(body.as_str()) else {
            return body.clone();
        };
        // Nothing in a URL has to be escaped in JSON.
        let url = self.url(id, Variant::Original);
        let thumb = match kind {
            MediaKind::Image => format!(r#","thumbUrl":"{}""#, self.url(id, Variant::Thumb)),
            MediaKind::Voice | MediaKind::File => String::new(),
        };
        let filled = format!(r#"{{{},"url":"{url}"{thumb}}}"#, body.members());
        Payload::parse(filled).expect("an object with more in it is one")
    }

    /// Whether a URL with this pass is let through now.
    pub fn check(&self, id: MediaId, variant: Variant, pass: Pass<'_>) -> Result<(), Refusal> {
        let now = self.0.clock.now();
        let expires_at = pass.expiry.saturating_mul(1_000);
        if expires_at <= now.as_millis() {
            return Err(Refusal::Invalid);
        }
        let keys = self.0.keys.read();
        let key = keys.iter().find(|key| key.id == pass.key).ok_or(Refusal::UnknownKey)?;
        if key.good_until.is_some_and(|end| end <= now) {
            return Err(Refusal::Invalid);
        }
        let signature = URL_SAFE_NO_PAD.decode(pass.signature).map_err(|_| Refusal::Invalid)?;
        hmac::verify(&key.secret, signed(id, variant, pass.expiry).as_bytes(), &signature)
            .map_err(|_| Refusal::Invalid)
    }
}

/// What is signed.
fn signed(id: MediaId, variant: Variant, expiry: i64) -> String {
    format!("media\n{id}\n{}\n{expiry}", variant.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T10:00:00Z.
    const MORNING: i64 = 1_795_341_600_000;

    fn key(id: i64, created_at: Timestamp) -> MediaKey {
        MediaKey { id, secret: [u8::try_from(id).unwrap(); 32], created_at }
    }

    fn links(clock: &Clock) -> MediaLinks {
        let links = MediaLinks::new("https://im.example".to_owned(), clock.clone());
        links.set_keys(&[key(1, clock.now())]);
        links
    }

    fn checked(links: &MediaLinks, url: &str) -> Result<(), Refusal> {
        let url = url::Url::parse(url).unwrap();
        let mut path = url.path_segments().unwrap().skip(2);
        let id = MediaId::parse(path.next().unwrap()).unwrap();
        let variant = Variant::parse(path.next().unwrap()).unwrap();
        let query = |key| url.query_pairs().find(|(name, _)| name == key).unwrap().1.into_owned();
        let (expiry, key) = (query("e").parse().unwrap(), query("k").parse().unwrap());
        links.check(id, variant, Pass { key, expiry, signature: &query("s") })
    }

    #[test]
    fn a_url_is_the_same_all_day_and_good_for_one_at_least() {
        let clock = Clock::manual(Timestamp::from_millis(MORNING));
        let (links, id) = (links(&clock), MediaId::random());
        let url = links.url(id, Variant::Original);
        assert!(url.starts_with(&format!("https://im.example/v1/media/{id}/original?")));
        clock.advance(Duration::from_hours(13));
        assert_eq!(links.url(id, Variant::Original), url);
        clock.advance(Duration::from_hours(2));
        let next_day = links.url(id, Variant::Original);
        assert_ne!(next_day, url);
        clock.advance(Duration::from_hours(22));
        assert_eq!(checked(&links, &url), Ok(()));
        clock.advance(Duration::from_hours(1));
        assert_eq!(
            (checked(&links, &url), checked(&links, &next_day)),
            (Err(Refusal::Invalid), Ok(()))
        );
    }

    #[test]
    fn a_changed_url_is_refused() {
        let clock = Clock::manual(Timestamp::from_millis(MORNING));
        let (links, id) = (links(&clock), MediaId::random());
        let url = links.url(id, Variant::Thumb);
        assert_eq!(checked(&links, &url), Ok(()));
        let later = (MORNING / 1_000 / DAY_SECS + 2) * DAY_SECS;
        for (from, to) in [
            ("thumb", "original".to_owned()),
            (&*id.to_string(), MediaId::random().to_string()),
            (&*later.to_string(), (later + 1).to_string()),
            ("&s=", "&s=A".to_owned()),
        ] {
            assert_eq!(checked(&links, &url.replace(from, &to)), Err(Refusal::Invalid), "{from}");
        }
        let other = url.replace("k=1&", "k=2&");
        assert_eq!(checked(&links, &other), Err(Refusal::UnknownKey));
    }

    #[test]
    fn a_replaced_key_is_good_for_two_days() {
        let clock = Clock::manual(Timestamp::from_millis(MORNING));
        let (links, id) = (links(&clock), MediaId::random());
        let url = links.url(id, Variant::Original);
        let first = key(1, clock.now());
        clock.advance(Duration::from_mins(1));
        links.set_keys(&[key(2, clock.now()), first]);
        assert_ne!(links.url(id, Variant::Original), url);
        assert_eq!(checked(&links, &url), Ok(()));
        clock.advance(KEY_KEEPS);
        let forged = links.url(id, Variant::Original);
        assert_eq!(checked(&links, &forged), Ok(()));
        // Whoever has the old key signs nothing with it any more.
        links.set_keys(&[key(1, clock.now())]);
        let forged = links.url(id, Variant::Original);
        let made_at = clock.now().before(KEY_KEEPS);
        links.set_keys(&[key(2, made_at), key(1, made_at)]);
        assert_eq!(checked(&links, &forged), Err(Refusal::Invalid));
    }

    #[test]
    fn a_body_is_filled_with_its_urls() {
        let clock = Clock::manual(Timestamp::from_millis(MORNING));
        let (links, id) = (links(&clock), MediaId::random());
        let body = Payload::parse(format!(r#"{{"mediaId":"{id}","width":3}}"#)).unwrap();
        let filled = |kind: &str| {
            let kind = ChatKind::from(kind.to_owned());
            serde_json::from_str::<serde_json::Value>(links.fill(&kind, &body).as_str()).unwrap()
        };
        let (url, thumb) = (links.url(id, Variant::Original), links.url(id, Variant::Thumb));
        let image = filled("image");
        assert_eq!((&image["url"], &image["thumbUrl"]), (&url.clone().into(), &thumb.into()));
        assert_eq!((&image["mediaId"], &image["width"]), (&id.to_string().into(), &3.into()));
        let voice = filled("voice");
        assert_eq!((&voice["url"], voice.get("thumbUrl")), (&url.into(), None));
        for (kind, json) in [("card", body.as_str()), ("image", r#"{"mediaId":7}"#), ("file", "{}")]
        {
            let (kind, body) = (ChatKind::from(kind.to_owned()), Payload::parse(json.to_owned()));
            let body = body.unwrap();
            assert_eq!(links.fill(&kind, &body), body);
        }
    }
}
