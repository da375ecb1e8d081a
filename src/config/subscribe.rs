//! The settings of subscribe messages, and how they are read.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use crate::domain::{TemplateField, TemplateId};

/// Messages to whoever is away.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Which template of the main mini program; `None`: no messages.
    #[serde(deserialize_with = "optional_template")]
    pub template_id: Option<TemplateId>,
    /// What its fields hold.
    #[serde(deserialize_with = "fields")]
    pub fields: Vec<TemplateField>,
    /// Whether a message shows what a chat says.
    pub show_content: bool,
    /// The page that a message opens.
    pub page: String,
}

/// The id of a template, or an empty string.
fn optional_template<'de, D: Deserializer<'de>>(d: D) -> Result<Option<TemplateId>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    TemplateId::parse(&text).map(Some).map_err(D::Error::custom)
}

/// Fields: a table, or the same as JSON in a string, as the environment has it.
fn fields<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<TemplateField>, D::Error> {
    struct Table;

    impl<'de> Visitor<'de> for Table {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of fields with what they hold, or such an object in JSON")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.is_empty() {
                return Ok(BTreeMap::new());
            }
            serde_json::from_str(text).map_err(|_| E::custom("must be a JSON object of texts"))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = BTreeMap::new();
            while let Some((name, source)) = map.next_entry()? {
                fields.insert(name, source);
            }
            Ok(fields)
        }
    }

    let written = d.deserialize_any(Table)?;
    let read = written.iter().map(|(name, source)| TemplateField::parse(name, source));
    read.collect::<Result<_, _>>().map_err(D::Error::custom)
}
