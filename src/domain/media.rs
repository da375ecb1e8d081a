//! Pictures, voice and files that people upload, and what a chat says of them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Payload, UserId, characters::unfit};

/// What an upload is called. Cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId(Uuid);

impl MediaId {
    /// One that nothing else has.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads 32 lower-case hexadecimal digits; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_simple = text.len() == 32 && text.bytes().all(is_digit);
        if is_simple { Uuid::try_parse(text).ok().map(Self) } else { None }
    }
}

impl<'de> Deserialize<'de> for MediaId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = &"the id of an upload";
        let other = de::Unexpected::Other("another text");
        Self::parse(&text).ok_or_else(|| de::Error::invalid_value(other, expected))
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// What is uploaded, and so the kind of a chat that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A voice message.
    Voice,
    /// Any file.
    File,
}

impl MediaKind {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::File => "file",
        }
    }

    /// What a chat of this kind says where words are shown.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Image => "[图片]",
            Self::Voice => "[语音]",
            Self::File => "[文件]",
        }
    }

    /// Reads the word; `None` if it is another one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Image, Self::Voice, Self::File].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What there is to know of an upload by its kind.
#[derive(Clone, PartialEq, Eq)]
pub enum MediaShape {
    /// Of a picture, in pixels.
    Image {
        /// From left to right.
        width: u32,
        /// From top to bottom.
        height: u32,
        /// Bytes of the thumbnail.
        thumb_size: u64,
    },
    /// Of a voice message.
    Voice {
        /// By its data, in whole milliseconds.
        duration: Duration,
    },
    /// Of a file.
    File {
        /// Its name.
        name: FileName,
    },
}

/// The names of files never reach a log.
impl fmt::Debug for MediaShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl MediaShape {
    /// What it is the shape of.
    pub fn kind(&self) -> MediaKind {
        match self {
            Self::Image { .. } => MediaKind::Image,
            Self::Voice { .. } => MediaKind::Voice,
            Self::File { .. } => MediaKind::File,
        }
    }
}

/// An upload as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it is called.
    pub id: MediaId,
    /// Who uploaded it.
    pub owner: UserId,
    /// The type of its bytes, such as `image/jpeg`.
    pub content_type: String,
    /// How many bytes there are.
    pub size: u64,
    /// The SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// What else there is to know.
    pub shape: MediaShape,
}

impl Media {
    /// What it is.
    pub fn kind(&self) -> MediaKind {
        self.shape.kind()
    }

    /// The body that a chat with it is stored with: what the wire has, without the URLs.
    pub fn body(&self) -> Payload {
        let (id, size, content_type) = (self.id.to_string(), self.size, &self.content_type);
        let body = match &self.shape {
            MediaShape::Image { width, height, .. } => json!({
                "mediaId": id, "width": width, "height": height, "size": size,
                "contentType": content_type,
            }),
            MediaShape::Voice { duration } => json!({
                "mediaId": id, "durationMs": millis(*duration), "size": size,
                "contentType": content_type,
            }),
            MediaShape::File { name } => json!({
                "mediaId": id, "name": name.as_str(), "size": size, "contentType": content_type,
            }),
        };
        Payload::parse(body.to_string()).expect("an object is one")
    }

    /// What a chat with it says in plain text.
    pub fn content(&self) -> String {
        let placeholder = self.kind().placeholder();
        match &self.shape {
            MediaShape::File { name } => format!("{placeholder} {}", name.as_str()),
            MediaShape::Image { .. } | MediaShape::Voice { .. } => placeholder.to_owned(),
        }
    }
}

/// Milliseconds of a voice message, which has a minute at most.
pub fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// The name of a file that is safe to save under: 1 to 120 characters, no folder, no control or direction
/// characters, no dots or spaces at its ends.
#[derive(Clone, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The most Unicode scalar values of a name.
    const MAX_CHARS: usize = 120;

    /// What a file is called whose name has nothing that can stay.
    const NAMELESS: &str = "file";

    /// Makes a safe name of what a client says. A name that is too long keeps its extension.
    pub fn sanitise(text: &str) -> Self {
        let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let kept = |c: &char| unfit(*c).is_none() && !r#"<>:"|?*"#.contains(*c);
        let name: String = name.chars().filter(kept).collect();
        let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
        if name.is_empty() {
            return Self(Self::NAMELESS.to_owned());
        }
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let length = name.chars().count();
        let tail = if extension.chars().count() < 16 { extension } else { "" };
        if length <= Self::MAX_CHARS {
            return Self(name.to_owned());
        }
        let dot = if tail.is_empty() { "" } else { "." };
        let most = Self::MAX_CHARS - tail.chars().count() - dot.len();
        let head: String = name.chars().take(most).collect();
        Self(format!("{}{dot}{tail}", head.trim_end()))
    }

    /// A name as the database has it.
    pub fn stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_no_folder_and_nothing_unseen() {
        for (given, kept) in [
            ("年度报告.pdf", "年度报告.pdf"),
            ("../../etc/passwd", "passwd"),
            (r"C:\windows\a.exe", "a.exe"),
            ("..", "file"),
            ("", "file"),
            ("\u{202e}fdp.exe", "fdp.exe"),
            ("a\r\nb\"<x>\0.txt", "abx.txt"),
            (" .hidden. ", "hidden"),
        ] {
            assert_eq!(FileName::sanitise(given).as_str(), kept, "{given:?}");
        }
        let long = FileName::sanitise(&format!("{}.docx", "长".repeat(500)));
        assert!(long.as_str().ends_with("长.docx") && long.as_str().chars().count() == 120);
        let odd = FileName::sanitise(&format!("a.{}", "b".repeat(500)));
        assert_eq!(odd.as_str().chars().count(), 120);
    }

    #[test]
    fn an_id_is_read_in_one_form_only() {
        let id = MediaId::random();
        assert_eq!(MediaId::parse(&id.to_string()), Some(id));
        for other in [id.to_string().to_uppercase(), id.0.to_string(), String::new()] {
            assert_eq!(MediaId::parse(&other).filter(|_| other != id.to_string()), None);
        }
    }

    #[test]
    fn a_chat_says_what_it_shows() {
        let media = |content_type: &str, shape| Media {
            id: MediaId::parse(&"0a".repeat(16)).unwrap(),
            owner: UserId::new(7).unwrap(),
            content_type: content_type.to_owned(),
            size: 9,
            sha256: [0; 32],
            shape,
        };
        let image = media("image/jpeg", MediaShape::Image { width: 3, height: 4, thumb_size: 5 });
        let name = FileName::sanitise("年报\".pdf");
        let file = media("application/pdf", MediaShape::File { name });
        let duration = Duration::from_millis(1_500);
        let voice = media("audio/mpeg", MediaShape::Voice { duration });
        let seen = |media: &Media| {
            let body: serde_json::Value = serde_json::from_str(media.body().as_str()).unwrap();
            (media.content(), body)
        };
        let id = "0a".repeat(16);
        assert_eq!(
            [seen(&image), seen(&file), seen(&voice)],
            [
                (
                    "[图片]".to_owned(),
                    json!({"mediaId": id, "width": 3, "height": 4, "size": 9,
                        "contentType": "image/jpeg"})
                ),
                (
                    "[文件] 年报.pdf".to_owned(),
                    json!({"mediaId": id, "name": "年报.pdf", "size": 9,
                        "contentType": "application/pdf"})
                ),
                (
                    "[语音]".to_owned(),
                    json!({"mediaId": id, "durationMs": 1500, "size": 9,
                        "contentType": "audio/mpeg"})
                ),
            ]
        );
        assert!(!format!("{file:?}").contains("年报"));
    }
}
