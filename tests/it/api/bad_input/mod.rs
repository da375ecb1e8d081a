//! Bad input on every route and frame: a typed refusal, nothing stored, the server and the socket
//! alive. And strange input that is good.

mod bodies;
mod frames;
mod groups;
mod kept;
mod legacy;
mod pictures;
mod targets;
mod texts;

use serde_json::{Value, json};

use crate::harness::{Person, Server, Start, server::json_of};

/// What a key of an object is, and so what is wrong with it.
#[derive(Clone, Copy)]
pub enum Is {
    /// An id that must be there.
    Id,
    /// An id that may be absent.
    OptionalId,
    /// What a chat says.
    Content,
    /// A sender's key.
    Key,
    /// A sender's key that may be absent.
    OptionalKey,
    /// A name.
    Name,
    /// A name that may be absent.
    OptionalName,
    /// A text of which only the type is checked.
    Text,
    /// One of a few words.
    Word,
    /// One of a few words, which may be absent.
    OptionalWord,
    /// The title of a group, which may be absent.
    OptionalTitle,
    /// A draft, which may be absent.
    OptionalDraft,
    /// Yes or no.
    Flag,
    /// Yes or no, which may be absent.
    OptionalFlag,
    /// A list of users who join a group.
    Users,
    /// Whom a chat calls by name, which may be absent.
    OptionalMentions,
    /// What a card holds.
    Card,
    /// A text of which only the type is checked, which may be absent.
    OptionalText,
}

/// A wrong value as raw JSON, `None` for a key that is not there, and the code that answers it.
pub type Wrong = (Option<String>, &'static str);

impl Is {
    /// All that is wrong here.
    pub fn wrong(self) -> Vec<Wrong> {
        let (values, code) = match self {
            Self::Id | Self::OptionalId => (wrong_ids(), "invalid_request"),
            Self::Content => (wrong_contents(), "invalid_content"),
            Self::Key | Self::OptionalKey => (wrong_keys(), "invalid_request"),
            Self::Name | Self::OptionalName => (wrong_names(), "invalid_name"),
            Self::OptionalTitle => (unfit_names(), "invalid_name"),
            Self::Text | Self::OptionalText => {
                (vec![r#""""#.into(), r#""\ud800""#.into()], "invalid_request")
            }
            Self::Word | Self::OptionalWord => (wrong_words(), "invalid_request"),
            Self::OptionalDraft => (wrong_drafts(), "invalid_request"),
            Self::Flag | Self::OptionalFlag => (wrong_flags(), "invalid_request"),
            Self::Users => (wrong_users(), "invalid_request"),
            Self::OptionalMentions => (wrong_mentions(), "invalid_request"),
            Self::Card => (wrong_cards(), "invalid_request"),
        };
        let mut wrong: Vec<Wrong> = values.into_iter().map(|value| (Some(value), code)).collect();
        if matches!(self, Self::Name | Self::OptionalName | Self::OptionalTitle) {
            let max = if matches!(self, Self::OptionalTitle) { 60 } else { 32 };
            let lengths = [("x", 0), ("x", max + 1), ("😀", max + 1), ("x", 50_000)];
            let out_of_range = lengths.map(|(text, times)| text.repeat(times));
            let out_of_range =
                out_of_range.map(|name| (Some(format!(r#""{name}""#)), "invalid_request"));
            wrong.extend(out_of_range);
        }
        if matches!(self, Self::Users) {
            let many = format!("[{}]", vec!["1"; 1_001].join(","));
            wrong.extend(["[]", &many].map(|list| (Some(list.to_owned()), "invalid_request")));
        }
        let is_string = !matches!(
            self,
            Self::Id
                | Self::OptionalId
                | Self::Flag
                | Self::OptionalFlag
                | Self::Users
                | Self::OptionalMentions
                | Self::Card
        );
        let no_strings = ["0", "1.5", "true", "[]", r#"["x"]"#, r#"{"x":"y"}"#];
        let types = no_strings.map(str::to_owned).into_iter().chain([deep()]);
        wrong.extend(types.filter(|_| is_string).map(|value| (Some(value), "invalid_request")));
        let may_be_absent = matches!(
            self,
            Self::OptionalId
                | Self::OptionalKey
                | Self::OptionalName
                | Self::OptionalText
                | Self::OptionalWord
                | Self::OptionalTitle
                | Self::OptionalDraft
                | Self::OptionalFlag
                | Self::OptionalMentions
        );
        if !may_be_absent {
            wrong.push((Some("null".into()), "invalid_request"));
            wrong.push((None, "invalid_request"));
        }
        wrong
    }
}

fn wrong_ids() -> Vec<String> {
    let plain = [
        "0",
        "-1",
        "-0",
        "1.5",
        "1.0",
        "1e3",
        "1e400",
        "9007199254740992",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        r#""1""#,
        r#""""#,
        r#""\ud800""#,
        "true",
        "false",
        "[]",
        "[1]",
        "{}",
        r#"{"id":1}"#,
    ];
    plain.map(str::to_owned).into_iter().chain([deep()]).collect()
}

fn wrong_contents() -> Vec<String> {
    let escaped =
        [r"", r" ", r"\u3000\r\n\t\u00a0", r"a\u0000b", r"\u0000", r"\ud800", r"a\udc00b"];
    let escaped = escaped.into_iter().chain([r"\udc00\ud800", r"\ud800\ud800", r"\ud83d\u0041"]);
    let escaped = escaped.chain([r"\u200b", r"\u3164 \u2800", r"\u202e\ufeff\u0001", r"\ufe0f"]);
    let long = ["x".repeat(2_001), "😀".repeat(2_001), " ".repeat(2_001), "x".repeat(50_000)];
    escaped.map(str::to_owned).chain(long).map(|text| format!(r#""{text}""#)).collect()
}

fn wrong_keys() -> Vec<String> {
    let escaped = [r"", r"a\nb", r"\u0000", r"\u007f", r"\ud800", "é", "😀"];
    let long = ["x".repeat(65), "x".repeat(50_000)];
    escaped.map(str::to_owned).into_iter().chain(long).map(|text| format!(r#""{text}""#)).collect()
}

fn wrong_names() -> Vec<String> {
    let reserved = ["已注销", " 已注销", r"\u5df2\u6ce8\u9500\u3000"];
    unfit_names().into_iter().chain(reserved.map(|text| format!(r#""{text}""#))).collect()
}

fn unfit_names() -> Vec<String> {
    let unseen = [" ", r"\u3000", r"\u0085", r"\u3164", r"\u115f\uffa0", r"\u2800", r"\ufe0f"];
    let unfit = [
        r"a\nb",
        r"a\u0000b",
        r"\ud800",
        r"a\udc00",
        r"\u202eabc",
        r"a\u200eb",
        r"a\u2066",
        r"\u200b",
        r"a\u200bb",
        r"a\u200cb",
        r"a\u200db",
        r"\u2060a",
        r"\ufeffa",
        r"a\u00adb",
        r"a\u2028b",
    ];
    unseen.iter().chain(&unfit).map(|text| format!(r#""{text}""#)).collect()
}

fn wrong_words() -> Vec<String> {
    let words = ["", " ", "GROUP", "boss", "\\u0000", "\\ud800", "Owner", "system ", "poem"];
    let long = "x".repeat(50_000);
    words.iter().chain([&&*long]).map(|word| format!(r#""{word}""#)).collect()
}

fn wrong_drafts() -> Vec<String> {
    let long = ["x".repeat(2_001), "😀".repeat(2_001), "x".repeat(50_000)];
    let unfit = [r"\u0000", r"a\u0000b", r"\ud800", r"a\udc00b"].map(str::to_owned);
    unfit.into_iter().chain(long).map(|draft| format!(r#""{draft}""#)).collect()
}

fn wrong_flags() -> Vec<String> {
    let plain = ["0", "1", "-1", "1.5", r#""true""#, r#""""#, r#""\ud800""#, "[]", "[true]", "{}"];
    plain.map(str::to_owned).into_iter().chain([deep()]).collect()
}

/// Lists of users in which one is none, and what is no list.
fn wrong_users() -> Vec<String> {
    let no_lists = ["0", "1", "true", r#""1""#, r#""""#, "{}"].map(str::to_owned);
    let lists = wrong_ids().into_iter().chain(["null".to_owned()]);
    no_lists.into_iter().chain(lists.map(|id| format!("[{id}]"))).chain([deep()]).collect()
}

fn wrong_mentions() -> Vec<String> {
    let words =
        ["", "ALL", "all ", r"\ud800", r"\u0000", "some"].map(|word| format!(r#""{word}""#));
    let many = format!("[{}]", vec!["1"; 501].join(","));
    let lists = wrong_users().into_iter().filter(|list| list != r#""""#);
    lists.chain(words).chain(["[]".to_owned(), many]).collect()
}

fn wrong_cards() -> Vec<String> {
    let long = |text: &str, times| text.repeat(times);
    let mut fields = vec![
        r#""title":"""#.to_owned(),
        r#""title":null"#.to_owned(),
        r#""title":7"#.to_owned(),
        r#""title":"\u200b""#.to_owned(),
        r#""title":"\ud800""#.to_owned(),
        r#""title":"a\u0000""#.to_owned(),
        format!(r#""title":"{}""#, long("😀", 61)),
        r#""description":"a""#.to_owned(),
    ];
    let mut beside = vec![
        format!(r#""description":"{}""#, long("x", 501)),
        r#""path":"""#.to_owned(),
        r#""path":"a\u0000""#.to_owned(),
        format!(r#""path":"{}""#, long("x", 1_025)),
        r#""path":"p","url":"https://a.b""#.to_owned(),
        format!(r#""data":"{}""#, long("x", 4_095)),
        format!(r#""data":{}"#, deep()),
        format!(r#""data":{}{}"#, long("[", 2_000), long("]", 2_000)),
        r#""data":["\ud800"]"#.to_owned(),
        r#""data":{"\udc00":1}"#.to_owned(),
        r#""data":1e400"#.to_owned(),
        // Each part is as long as it may be, and escaped.
        format!(
            r#""description":"{}","path":"{}","imageUrl":"https://a/{}","data":"{}""#,
            long("\\u0001", 500),
            long("\\u0001", 1_024),
            long("\\u0001", 1_014),
            long("x", 4_094)
        ),
    ];
    for key in ["url", "imageUrl"] {
        let links = [
            "",
            "x",
            "//a.b",
            "http://a.b",
            "javascript:1",
            "data:,x",
            "https://",
            r"https://a\u0000",
        ];
        beside.extend(links.map(|link| format!(r#""{key}":"{link}""#)));
        beside.push(format!(r#""{key}":"https://a.b/{}""#, long("x", 1_024)));
    }
    for key in ["description", "path", "url", "imageUrl"] {
        let types = ["7", "true", "[]", "{}", r#""\ud800""#];
        beside.extend(types.map(|value| format!(r#""{key}":{value}"#)));
    }
    fields.extend(beside.into_iter().map(|field| format!(r#""title":"a",{field}"#)));
    let no_cards = ["7", "true", r#""x""#, "[]", r#"["a"]"#, "{}"].map(str::to_owned);
    let cards = fields.into_iter().map(|fields| format!("{{{fields}}}"));
    no_cards.into_iter().chain(cards).chain([deep()]).collect()
}

/// A list in a list in a list.
pub fn deep() -> String {
    format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))
}

/// Fields of an object with their raw values.
pub type Raw<'a> = &'a [(&'a str, String)];

/// An object in which one key has another value, or is not there.
pub fn with(fields: Raw<'_>, key: &str, value: Option<&str>) -> String {
    let others = fields.iter().filter(|(name, _)| *name != key);
    let mut pairs: Vec<_> = others.map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    pairs.extend(value.map(|value| format!(r#""{key}":{value}"#)));
    format!("{{{}}}", pairs.join(","))
}

/// What is no JSON object, whatever the keys would be.
pub fn no_objects() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        "{",
        "{]",
        "{}x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"a\":01}",
        "{\"a\":\"\n\"}",
        "x=1&y=2",
        "\u{feff}{}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":1",
        "<xml/>",
        "{}{}",
        "\0",
    ];
    let bytes: [&[u8]; 4] = [
        b"{\"a\":\"\xff\"}",
        b"{\"\xc3\x28\":1}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xff\xfe{\x00}\x00",
    ];
    let texts = texts.into_iter().map(|text| text.as_bytes().to_vec());
    let open = "[".repeat(20_000).into_bytes();
    let nested = format!("{}1", r#"{"a":"#.repeat(10_000)).into_bytes();
    texts.chain(bytes.map(<[u8]>::to_vec)).chain([open, deep().into_bytes(), nested]).collect()
}

/// Two people who have talked, and what both can see of it.
pub struct Stage {
    pub server: Server,
    pub zhang: Person,
    pub li: Person,
    pub conversation: i64,
    pub chat: i64,
    /// A group of the two, if they have one.
    pub group: Option<i64>,
}

impl Stage {
    pub async fn set() -> Self {
        let server = Start::default()
            .set("limits.enabled", false)
            // Nobody is there: a code that were passed on would be `unavailable`.
            .set("wechat.base_url", "http://127.0.0.1:1")
            .set("wechat.appid", "wx1")
            .set("wechat.secret", "s")
            .set("auth.usersig.app_id", 1)
            .set("auth.usersig.secret", "s")
            .run();
        let (zhang, li) = (server.person("张三").await, server.person("李四").await);
        let chat = zhang.send(li.id, "first", "你好").await["chat"].clone();
        let (conversation, chat) =
            (chat["conversationId"].as_i64().unwrap(), chat["id"].as_i64().unwrap());
        Self { server, zhang, li, conversation, chat, group: None }
    }

    /// The two have a group, too, with a chat of each.
    pub async fn with_group() -> Self {
        let stage = Self::set().await;
        let body = json!({"kind": "group", "key": "g", "title": "爬山", "userIds": [stage.li.id]});
        let answer = stage.zhang.post("/v1/conversations", &body).await;
        let group = json_of(answer).await["id"].as_i64().unwrap();
        for person in [&stage.zhang, &stage.li] {
            let body = json!({"clientMsgId": "in", "conversationId": group, "content": "走"});
            assert_eq!(person.post("/v1/chats", &body).await.status(), 201);
        }
        Self { group: Some(group), ..stage }
    }

    /// All that is stored of the two, and whether anybody was made besides.
    pub async fn seen(&self) -> Value {
        let mut seen = Vec::new();
        for person in [&self.zhang, &self.li] {
            for path in [
                "/v1/me",
                "/v1/conversations",
                "/v1/events?since=0",
                &format!("/v1/conversations/{}/chats", self.conversation),
                &format!("/getMessage?userId={}", person.id),
                &format!("/v1/users/{}", self.li.id + 1),
            ] {
                let answer = person.get(path).await;
                seen.push(json!([answer.status().as_u16(), answer.text().await.unwrap()]));
            }
            for rest in ["", "/chats", "/members"] {
                let Some(group) = self.group else { continue };
                seen.push(person.get_json(&format!("/v1/conversations/{group}{rest}")).await);
            }
        }
        json!(seen)
    }

    /// Shows that a server still takes what is good.
    pub async fn assert_alive(&self) {
        let sent = self.li.send(self.zhang.id, "last", "还在").await;
        // A group has begun with a line, an event, and a chat of each.
        assert_eq!(sent["seq"], if self.group.is_some() { 6 } else { 2 });
    }
}

/// The start of a text, for the message of a failing test.
pub fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}
