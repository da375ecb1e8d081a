//! Requests that are made from the OpenAPI document, and answers that are held against it: what it says
//! is valid is taken, what it says is not is refused, and every answer is one that it names.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

use super::unlimited;
use crate::{
    api::media::{form, form_type},
    harness::{BackEnd, Person, Server, server::json_of},
};

/// How many valid requests each route gets.
const ROUNDS: u32 = 25;

/// A route of the document.
struct Route<'a> {
    document: &'a Value,
    path: &'a str,
    method: Method,
    operation: &'a Value,
}

/// The values of one request.
#[derive(Clone, Debug, Default)]
struct Values {
    path: Map<String, Value>,
    query: Map<String, Value>,
    body: Option<Value>,
}

/// Follows a reference; of a choice between something and null, to the something.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let mut choices = schema["oneOf"].as_array().into_iter().flatten();
    let schema = choices.find(|choice| choice["type"] != "null").unwrap_or(schema);
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

fn is_nullable(schema: &Value) -> bool {
    let mut choices = schema["oneOf"].as_array().into_iter().flatten();
    is_type(schema, "null") || choices.any(|choice| choice["type"] == "null")
}

fn is_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::Array(names) => names.iter().any(|known| known == name),
        known => known == name,
    }
}

impl Route<'_> {
    fn parameters(&self) -> impl Iterator<Item = (&str, &Value, bool, bool)> {
        self.operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let schema = resolved(self.document, &parameter["schema"]);
            let name = parameter["name"].as_str().unwrap();
            (name, schema, parameter["in"] == "path", parameter["required"] == true)
        })
    }

    fn takes_form(&self) -> bool {
        self.operation["requestBody"]["content"].get("multipart/form-data").is_some()
    }

    fn body(&self) -> Option<&Value> {
        let content = self.operation.get("requestBody")?.get("content")?;
        Some(resolved(self.document, content.get("application/json")?.get("schema")?))
    }

    /// A request that the document says is valid.
    fn valid(&self, world: &World, random: &mut SmallRng) -> Values {
        let mut values = Values::default();
        for (name, schema, in_path, required) in self.parameters() {
            // Two that exclude each other, which a schema cannot say.
            let is_excluded = [
                ("chats", &["before", "after", "changedSince"][..]),
                ("conversations", &["peerId", "peerExternalId"]),
                ("users", &["name", "user"]),
            ]
            .into_iter()
            .any(|(path, names)| {
                self.path.ends_with(path)
                    && names.contains(&name)
                    && names.iter().any(|other| values.query.contains_key(*other))
            });
            if required || (random.random() && !is_excluded) {
                let value = self.value(name, schema, world, random);
                let place = if in_path { &mut values.path } else { &mut values.query };
                place.insert(name.to_owned(), value);
            }
        }
        values.body = self.body().map(|schema| self.value("", schema, world, random));
        if self.path == "/v1/admin/users" && self.method == Method::POST {
            values.body = Some(json!([{"externalId": "walker", "name": "行者"}]));
        }
        if let Some(body) = values.body.as_mut().and_then(Value::as_object_mut) {
            self.complete(body, world, random);
        }
        values
    }

    /// What a schema cannot say of the fields of one body.
    fn complete(&self, body: &mut Map<String, Value>, world: &World, random: &mut SmallRng) {
        match self.path {
            "/v1/chats" => {
                body.retain(|key, _| ["clientMsgId", "content", "replyTo"].contains(&&**key));
                // Whoever is named so does not exist.
                let (key, id) =
                    [("targetUserId", world.peer.id), ("conversationId", world.conversation)]
                        [usize::from(random.random::<bool>())];
                body.insert(key.to_owned(), id.into());
                let content = body.entry("content").or_insert_with(|| "你好".into());
                if content.is_null() {
                    *content = "你好".into();
                }
            }
            "/v1/admin/chats" => {
                body.retain(|key, _| ["clientMsgId", "content"].contains(&&**key));
                body.entry("content").or_insert_with(|| "你好".into());
                body.insert("from".to_owned(), format!("id:{}", world.me.id).into());
                body.insert("to".to_owned(), "walker".into());
                if body["content"].is_null() {
                    body.insert("content".to_owned(), "你好".into());
                }
            }
            "/v1/admin/sessions" => {
                body.clear();
                body.insert("externalId".to_owned(), "walker".into());
            }
            "/v1/admin/conversations" | "/v1/admin/conversations/{id}/members" => {
                body.insert("members".to_owned(), json!(["walker", world.me.id]));
                body.remove("title");
            }
            "/v1/admin/users/{externalId}" => {
                body.remove("avatarUrl");
                body.remove("profile");
            }
            "/v1/admin/users/{externalId}/restriction" => {
                body.remove("until");
            }
            "/v1/reports" => {
                body.remove("chatId");
                body.insert("reportedUserId".to_owned(), world.peer.id.into());
            }
            // It asks for no template.
            "/v1/wechat/subscriptions" => body.clear(),
            "/v1/conversations" => {
                body.insert("userIds".to_owned(), json!([world.peer.id, world.me.id]));
            }
            _ => {}
        }
    }

    fn value(&self, name: &str, schema: &Value, world: &World, random: &mut SmallRng) -> Value {
        if self.path.starts_with("/v1/blocks/") {
            return world.peer.id.into();
        }
        if self.path == "/v1/admin/users/{externalId}/export" {
            return "walker".into();
        }
        // The walk's own key is among those that there are.
        if self.path == "/v1/admin/keys/{id}" {
            return 9_999.into();
        }
        // Without a mini program there is none to name.
        if self.path == "/v1/admin/wechat/push" && name == "appid" {
            return "".into();
        }
        // Only one's own is allowed, and nobody may be left out of the game by a random id.
        if name == "userId" {
            return world.me.id.into();
        }
        if is_nullable(schema) && random.random() {
            return Value::Null;
        }
        let schema = resolved(self.document, schema);
        if is_type(schema, "boolean") {
            return random.random::<bool>().into();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[random.random_range(0..words.len())].clone();
        }
        if let Some(forms) = schema["oneOf"].as_array() {
            let form = &forms[random.random_range(0..forms.len())];
            return self.value(name, form, world, random);
        }
        if is_type(schema, "object") && schema.get("properties").is_none() {
            return json!({});
        }
        if is_type(schema, "object") {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let properties = schema["properties"].as_object().unwrap().iter();
            let chosen = properties
                .filter(|(name, _)| required.contains(&json!(name)) || random.random::<bool>());
            let chosen: Vec<_> = chosen.collect();
            let fields = chosen
                .into_iter()
                .map(|(name, schema)| (name.clone(), self.value(name, schema, world, random)));
            return Value::Object(fields.collect());
        }
        if is_type(schema, "array") {
            let most = schema["maxItems"].as_u64().unwrap_or(10);
            let count = random.random_range(schema["minItems"].as_u64().unwrap_or(0)..=most);
            return (0..count).map(|_| self.value("", &schema["items"], world, random)).collect();
        }
        if is_type(schema, "integer") {
            let least = schema["minimum"].as_i64().unwrap();
            let most = schema["maximum"].as_i64().unwrap();
            let known = [least, most, world.me.id, world.peer.id, world.conversation, world.chat];
            let known = known[random.random_range(0..known.len())];
            let is_within = (least..=most).contains(&known);
            return if is_within { known } else { random.random_range(least..=most) }.into();
        }
        assert!(is_type(schema, "string"), "{name}: {schema}");
        if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("{64}")) {
            return "0f".repeat(32).into();
        }
        let is_ascii = schema.get("pattern").is_some();
        let letters: &[char] = if is_ascii { &['a', '~', '7'] } else { &['a', '你', '😀'] };
        let (least, most) = lengths(schema);
        let length = [least, most, random.random_range(least..=most.min(least + 20))];
        let length = length[random.random_range(0..length.len())];
        (0..length)
            .map(|_| letters[random.random_range(0..letters.len())])
            .collect::<String>()
            .into()
    }

    /// Requests that the document says are not valid: each breaks one rule of one value.
    fn invalid(&self, valid: &Values) -> Vec<Values> {
        let mut all = Vec::new();
        for (name, schema, in_path, required) in self.parameters() {
            // A larger one is clamped, and who else is named is another matter.
            let clamped = name == "limit";
            for wrong in wrong_values(schema, clamped, true) {
                let mut values = valid.clone();
                let place = if in_path { &mut values.path } else { &mut values.query };
                place.insert(name.to_owned(), wrong);
                all.push(values);
            }
            if required && !in_path {
                let mut values = valid.clone();
                values.query.remove(name);
                all.push(values);
            }
        }
        // What is wrong with a list is told elsewhere.
        let object = self.body().filter(|schema| is_type(schema, "object"));
        let Some(schema) = object else { return all };
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let mut wrong: Vec<_> = wrong_values(resolved(self.document, property), false, false)
                .into_iter()
                .map(Some)
                .collect();
            if required.contains(&json!(name)) {
                wrong.extend([None, Some(Value::Null)]);
            }
            for wrong in wrong {
                let mut values = valid.clone();
                let fields = values.body.as_mut().unwrap().as_object_mut().unwrap();
                match wrong {
                    Some(wrong) => fields.insert(name.clone(), wrong),
                    None => fields.remove(name),
                };
                all.push(values);
            }
        }
        all
    }

    async fn send(&self, world: &World, values: &Values) -> Response {
        let mut path = self.path.to_owned();
        for (name, value) in &values.path {
            path = path.replace(&format!("{{{name}}}"), &text(value));
        }
        let request = match self.operation.get("security") {
            Some(_) if self.path.starts_with("/v1/admin") => {
                world.back_end.request(self.method.clone(), &path["/v1/admin".len()..])
            }
            // One that wants no token gets none.
            Some(_) => world.server.request(self.method.clone(), &path),
            None => world.me.request(self.method.clone(), &path),
        };
        let query: Vec<_> =
            values.query.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let request = request.query(&query);
        let request = match &values.body {
            Some(body) => request.body(body.to_string()),
            None if self.takes_form() => {
                let parts = [("kind", "", &b"image"[..]), ("file", "", &world.picture)];
                request.header("content-type", form_type()).body(form(&parts))
            }
            None if self.operation.get("requestBody").is_some() => {
                request.body(world.picture.clone())
            }
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Asserts that the document names this answer, and describes it as it is; returns its status.
    async fn assert_described(&self, response: Response, values: &Values) -> u16 {
        let what = format!("{} {} {values:?}", self.method, self.path);
        let status = response.status().as_u16();
        let described = self.operation["responses"].get(status.to_string());
        let described = described.unwrap_or_else(|| panic!("{status} is not described: {what}"));
        let described = resolved(self.document, described);
        assert_ne!(status, 500, "{what}");
        let content_type = response.headers().get("content-type").cloned();
        let Some(content_type) = content_type else {
            assert!(described.get("content").is_none(), "{what}");
            return status;
        };
        let content_type = content_type.to_str().unwrap().split(';').next().unwrap().to_owned();
        let contents = described["content"].as_object().unwrap();
        let family = format!("{}/*", content_type.split('/').next().unwrap());
        let content = contents.get(&content_type).or_else(|| contents.get(&family));
        let content = content.unwrap_or_else(|| panic!("{content_type} is not described: {what}"));
        if content_type.ends_with("json") && self.path != "/v1/openapi.json" {
            let body = json_of(response).await;
            if let Err(wrong) = check(self.document, &content["schema"], &body) {
                panic!("{what}: {wrong}: {body}");
            }
        }
        status
    }
}

/// The shortest and the longest text that is valid, in characters.
fn lengths(schema: &Value) -> (usize, usize) {
    let length = |key: &str| schema[key].as_u64().map(|length| usize::try_from(length).unwrap());
    let least = length("minLength").unwrap_or(0);
    (least, length("maxLength").unwrap_or(least + 50))
}

/// Values that break a rule of a schema. In a URL everything is text.
fn wrong_values(schema: &Value, clamped: bool, in_url: bool) -> Vec<Value> {
    let mut wrong = Vec::new();
    if is_type(schema, "integer") {
        wrong.push(json!(schema["minimum"].as_i64().unwrap() - 1));
        wrong.extend((!clamped).then(|| json!(schema["maximum"].as_i64().unwrap() + 1)));
        wrong.extend([json!("x"), json!(1.5)]);
    }
    if is_type(schema, "string") {
        let (least, _) = lengths(schema);
        wrong.extend((least > 0).then(|| json!("")));
        wrong.extend(
            schema["maxLength"]
                .as_u64()
                .map(|most| json!("x".repeat(usize::try_from(most).unwrap() + 1))),
        );
        wrong.extend((!in_url).then(|| json!(7)));
        let is_ascii = schema["pattern"] == "^[ -~]+$";
        wrong.extend(is_ascii.then(|| json!("é")));
    }
    if is_type(schema, "array") {
        let most = schema["maxItems"].as_u64().unwrap();
        wrong.extend((schema["minItems"] != 0).then(|| json!([])));
        wrong.push(json!(vec![1; usize::try_from(most).unwrap() + 1]));
    }
    wrong
}

/// A value as it stands in a URL.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Whether a value is what its schema says.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if value.is_null() && is_nullable(schema) {
        return Ok(());
    }
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value)?;
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let refuse = |rule: &str| Err(format!("{rule} of {schema} is broken by {value}"));
    if schema.get("type").is_some() && !is_type(schema, is) {
        return refuse("the type");
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return refuse("the enum");
    }
    if let Some(number) = value.as_i64() {
        let below = schema["minimum"].as_i64().is_some_and(|least| number < least);
        if below || schema["maximum"].as_i64().is_some_and(|most| number > most) {
            return refuse("the range");
        }
    }
    if let Some(text) = value.as_str() {
        let (length, (least, _)) = (text.chars().count(), lengths(schema));
        let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
        if length < least || u64::try_from(length).unwrap() > most {
            return refuse("the length");
        }
        if schema["format"] == "date-time" && !super::is_time(value) {
            return refuse("the format");
        }
    }
    for entry in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], entry)?;
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return refuse("what is required");
        }
    }
    for (name, entry) in value.as_object().into_iter().flatten() {
        let named = schema["properties"].get(name);
        // Of an object whose keys are not known beforehand.
        let any = schema.get("additionalProperties").filter(|any| any.is_object());
        if let Some(schema) = named.or(any) {
            check(document, schema, entry)?;
        }
    }
    Ok(())
}

/// Two people who have talked.
struct World {
    server: Server,
    back_end: BackEnd,
    me: Person,
    peer: Person,
    conversation: i64,
    chat: i64,
    picture: Vec<u8>,
}

impl World {
    async fn new() -> Self {
        let server = unlimited();
        let (me, peer) = (server.person("张三").await, server.person("李四").await);
        let chat = me.send(peer.id, "first", "你好").await["chat"].clone();
        peer.send(me.id, "second", "你好").await;
        let mut picture = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(2, 2).write_to(&mut picture, image::ImageFormat::Png).unwrap();
        let (conversation, chat) =
            (chat["conversationId"].as_i64().unwrap(), chat["id"].as_i64().unwrap());
        let (back_end, picture) = (server.back_end("all"), picture.into_inner());
        back_end.put("/users/walker", &json!({"name": "行者"})).await;
        Self { server, back_end, me, peer, conversation, chat, picture }
    }
}

fn routes(document: &Value) -> Vec<Route<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            let method = method.to_uppercase().parse().unwrap();
            Route { document, path, method, operation }
        })
    });
    // One ends the session.
    let (last, mut all): (Vec<_>, Vec<_>) = routes.partition(|route| route.path == "/v1/logout");
    all.extend(last);
    all
}

#[tokio::test]
async fn what_the_document_says_is_so() {
    let world = World::new().await;
    let document = json_of(world.server.get("/v1/openapi.json").await).await;
    let mut random = SmallRng::seed_from_u64(11);
    let mut counts = [0_u32; 2];
    for route in routes(&document) {
        let rounds = if route.path == "/v1/logout" { 1 } else { ROUNDS };
        let mut valid = Values::default();
        for _ in 0..rounds {
            valid = route.valid(&world, &mut random);
            let response = route.send(&world, &valid).await;
            let status = route.assert_described(response, &valid).await;
            assert!(status != 400, "{} {}: refused {valid:?}", route.method, route.path);
            counts[0] += 1;
        }
        for wrong in route.invalid(&valid) {
            let response = route.send(&world, &wrong).await;
            let status = route.assert_described(response, &wrong).await;
            let refused = matches!(status, 400 | 401 | 404);
            assert!(refused, "{} {}: {status} to {wrong:?}", route.method, route.path);
            counts[1] += 1;
        }
    }
    assert!(counts[0] > 300 && counts[1] > 60, "{counts:?}");
}
