//! The options of a scene over HTTP: parsed from forms and queries, and described in the OpenAPI document and `/v1/info`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use splat_core::plain::plain;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::document::FileContent;
use super::problem::{Problem, Result};
use crate::scene::{self, Faults, Kind, Part, SceneOption, SceneOptions};

/// Maximum text fields per request.
const MAX_FIELDS: usize = 40;

/// Options as text: fields of a form, or a query string.
#[derive(Debug, Default)]
pub(super) struct TextOptions(Map<String, Value>);

impl TextOptions {
    /// Adds a field. An empty value counts as absent, since browsers send empty form fields.
    pub(super) fn add(&mut self, name: String, value: String) -> Result<()> {
        if value.is_empty() {
            return Ok(());
        }
        if self.0.len() >= MAX_FIELDS {
            return Err(Problem::malformed(format!("the form has more than {MAX_FIELDS} fields")));
        }
        let known = scene::options().iter().find(|it| it.name == name || it.alias == Some(name.as_str()));
        let value = known.map_or_else(|| value.as_str().into(), |option| option.value_of(&value));
        if self.0.insert(name.clone(), value).is_some() {
            return Err(Problem::malformed(format!("the field `{name}` comes twice")));
        }
        Ok(())
    }

    /// Parses the options.
    pub(super) fn parse(self) -> Result<SceneOptions> {
        serde_path_to_error::deserialize(Value::Object(self.0)).map_err(|error| {
            Problem::invalid(format!(
                "the option `{}` cannot be used: {}",
                error.path(),
                plain(&error.inner().to_string())
            ))
        })
    }
}

/// Description of an option, for programs that build a form.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OptionView {
    /// Its name in JSON, forms and queries.
    name: &'static str,
    /// The group it belongs to.
    part: Part,
    /// Help text.
    help: &'static str,
    /// Default, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
    /// Type of its value.
    #[serde(rename = "type")]
    kind: ValueKind,
    /// Minimum of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    minimum: Option<Value>,
    /// Maximum of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    maximum: Option<Value>,
    /// Allowed words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<WordView>,
}

/// Type of an option's value.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum ValueKind {
    Text,
    Switch,
    Whole,
    Decimal,
    Word,
    Object,
}

/// An allowed word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WordView {
    name: &'static str,
    summary: &'static str,
}

impl OptionView {
    pub(super) fn of(option: &'static SceneOption) -> Self {
        let (kind, limits) = match &option.kind {
            Kind::Text { .. } => (ValueKind::Text, None),
            Kind::Switch => (ValueKind::Switch, None),
            Kind::Whole(range) | Kind::Seconds(range) => (
                ValueKind::Whole,
                Some((Value::from(*range.served.start()), Value::from(*range.served.end()))),
            ),
            Kind::Decimal(range) => {
                (ValueKind::Decimal, Some((Value::from(*range.start()), Value::from(*range.end()))))
            }
            Kind::Word(_) => (ValueKind::Word, None),
            Kind::Object(_) => (ValueKind::Object, None),
        };
        let (minimum, maximum) = limits.unzip();
        let words = if let Kind::Word(words) = option.kind { words } else { &[] };
        Self {
            name: option.name,
            part: option.part,
            help: &option.help,
            default: option.default.as_deref(),
            kind,
            minimum,
            maximum,
            words: words.iter().map(|&(name, summary)| WordView { name, summary }).collect(),
        }
    }
}

/// Help text and default, as sentences.
fn description(option: &SceneOption) -> String {
    let default = option.default.as_ref().map(|default| format!(" Default: {default}.")).unwrap_or_default();
    format!("{}.{default}", option.help)
}

/// The schema of an option's value. In JSON, `null` counts as absent (`nullable`); form fields and queries are text and have no
/// `null`.
fn value_schema(option: &SceneOption, nullable: bool) -> RefOr<Schema> {
    let typed = |name: Type| {
        let types = if nullable { SchemaType::Array(vec![name, Type::Null]) } else { name.into() };
        ObjectBuilder::new().schema_type(types).description(Some(description(option)))
    };
    let schema = match &option.kind {
        Kind::Text { most_chars } => typed(Type::String).max_length(Some(*most_chars)),
        Kind::Switch => typed(Type::Boolean),
        Kind::Whole(range) | Kind::Seconds(range) => {
            let small = i32::try_from(*range.served.end()).is_ok();
            let format = if small { KnownFormat::Int32 } else { KnownFormat::Int64 };
            typed(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(format)))
                .minimum(Some(*range.served.start()))
                .maximum(Some(*range.served.end()))
        }
        Kind::Decimal(range) => typed(Type::Number).minimum(Some(*range.start())).maximum(Some(*range.end())),
        Kind::Word(words) => {
            let null = nullable.then_some(Value::Null);
            typed(Type::String)
                .enum_values(Some(words.iter().map(|(name, _)| Value::from(*name)).chain(null)))
        }
        Kind::Object(name) => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            let one_of = OneOfBuilder::new().item(null).item(Ref::from_schema_name(*name));
            return Schema::OneOf(one_of.description(Some(description(option))).build()).into();
        }
    };
    Schema::Object(schema.build()).into()
}

/// Options as form fields and query parameters: all values but objects, which are JSON text there.
fn as_texts() -> impl Iterator<Item = &'static SceneOption> {
    scene::options().iter().filter(|option| !matches!(option.kind, Kind::Object(_)))
}

impl PartialSchema for SceneOptions {
    fn schema() -> RefOr<Schema> {
        let start = ObjectBuilder::new().description(Some("What may be chosen about a scene."));
        let add = |object: ObjectBuilder, option: &SceneOption| {
            object.property(option.name, value_schema(option, true))
        };
        let object = scene::options().iter().fold(start, add);
        Schema::Object(object.additional_properties(Some(AdditionalProperties::FreeForm(false))).build())
            .into()
    }
}

impl ToSchema for SceneOptions {
    fn name() -> Cow<'static, str> {
        "SceneOptions".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Faults::name().into(), Faults::schema()));
        Faults::schemas(schemas);
    }
}

/// A scene in one request: photos as parts `images` (or `files`), a zip of photos or a video, and options as text fields.
#[derive(Debug)]
pub(super) struct SceneForm;

impl PartialSchema for SceneForm {
    fn schema() -> RefOr<Schema> {
        let images = ArrayBuilder::new()
            .items(Ref::from_schema_name(FileContent::name()))
            .description(Some("Photos, a zip of photos, or a video."));
        let about = "A scene in one request: photos as parts `images` (or `files`), a zip of photos or a video, and options as text fields.";
        let start =
            ObjectBuilder::new().description(Some(about)).property("images", images).required("images");
        let add = |object: ObjectBuilder, option: &SceneOption| {
            object.property(option.name, value_schema(option, false))
        };
        Schema::Object(as_texts().fold(start, add).build()).into()
    }
}

impl ToSchema for SceneForm {
    fn name() -> Cow<'static, str> {
        "SceneForm".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FileContent::name().into(), FileContent::schema()));
    }
}

/// Options as query parameters.
#[derive(Debug)]
pub(super) struct SceneQuery;

impl IntoParams for SceneQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |option: &SceneOption| {
            ParameterBuilder::new()
                .name(option.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description(option)))
                .schema(Some(value_schema(option, false)))
                .build()
        };
        as_texts().map(parameter).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    /// An example value, as text.
    fn example(option: &SceneOption) -> String {
        match &option.kind {
            Kind::Text { .. } => "https://example.com/17".into(),
            Kind::Switch => "true".into(),
            Kind::Whole(range) | Kind::Seconds(range) => range.served.end().to_string(),
            Kind::Decimal(range) => range.end().to_string(),
            Kind::Word(words) => words[0].0.into(),
            Kind::Object(_) => "{}".into(),
        }
    }

    /// Every front accepts, checks and describes each option as the list defines it.
    #[test]
    fn every_option_is_read_checked_and_described_as_the_list_says() {
        let document = super::super::document::with_guard(super::super::described().1, "");
        let document = serde_json::to_value(&document).unwrap();
        let schema = |name: &str| document["components"]["schemas"][name]["properties"].clone();
        let (json, form) = (schema("SceneOptions"), schema("SceneForm"));
        let query = &document["paths"]["/process_images"]["post"]["parameters"];
        for option in scene::options() {
            let name = option.name;
            let read = |value: &str| {
                let mut texts = TextOptions::default();
                texts.add(name.to_owned(), value.to_owned()).unwrap();
                texts.parse()
            };
            let options = read(&example(option)).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
            let stored = serde_json::to_value(&options).unwrap();
            assert_eq!(
                stored.as_object().unwrap().keys().collect::<Vec<_>>(),
                [name],
                "stored by its name alone"
            );
            assert_eq!(serde_json::from_value::<SceneOptions>(stored).unwrap(), options);
            assert_eq!(options.fault(true), None, "{name}");
            let schema = &json[name];
            assert!(schema["description"].as_str().unwrap().starts_with(&option.help), "{name}: {schema}");
            assert!(!option.help.is_empty() && !option.help.ends_with('.'), "{name}: {}", option.help);
            match &option.kind {
                Kind::Whole(range) | Kind::Seconds(range) => {
                    assert_eq!(schema["maximum"].as_f64(), Some(*range.served.end() as f64), "{name}");
                    assert!(range.command.start() <= range.served.start(), "{name}");
                    assert!(range.command.end() >= range.served.end(), "{name}");
                    let over = read(&(range.served.end() + 1).to_string());
                    let refused = over.map_or(true, |options| options.fault(true).unwrap().contains(name));
                    assert!(refused, "{name}");
                }
                Kind::Decimal(range) => {
                    let fault = read(&(range.end() * 2.0).to_string()).unwrap().fault(true).unwrap();
                    assert!(fault.starts_with(&format!("`{name}` is ")), "{fault}");
                }
                Kind::Word(words) => {
                    let all: Vec<Value> =
                        words.iter().map(|(word, _)| json!(word)).chain([Value::Null]).collect();
                    assert_eq!(schema["enum"], json!(all), "{name}");
                    for (word, _) in *words {
                        assert!(read(word).is_ok(), "{name}: {word}");
                    }
                    let refused = read("no such word").unwrap_err().in_words();
                    assert!(refused.contains(name) && refused.contains(words[0].0), "{refused}");
                }
                Kind::Object(_) => continue,
                _ => {}
            }
            assert!(form[name]["type"].is_string(), "{name}: {}", form[name]);
            let described = query.as_array().unwrap().iter().any(|parameter| parameter["name"] == name);
            assert!(described, "{name} is no parameter of /process_images");
        }
    }
}
