//! Description of an option: names, values, range and help, for everything that reads or shows options.

use std::ops::RangeInclusive;

use serde_json::Value;

/// One option of a scene.
#[derive(Clone, Debug)]
pub struct SceneOption {
    /// Name in JSON, forms, queries and stored jobs.
    pub name: &'static str,
    /// Alternative name.
    pub alias: Option<&'static str>,
    /// Name of the field of [`super::SceneOptions`].
    pub field: &'static str,
    /// Name as a command-line flag, without the dashes.
    pub flag: String,
    /// Help text: a sentence without a full stop.
    pub help: String,
    /// Type of its value.
    pub kind: Kind,
    /// Placeholder for the value in the help of commands.
    pub value_name: &'static str,
    /// The group it belongs to.
    pub part: Part,
    /// Default, in words.
    pub default: Option<String>,
    /// Fields of options that it excludes.
    pub excludes: &'static [&'static str],
}

/// Group of an option. Commands include the groups that they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The job rather than the scene: its title and webhook. Not options of commands.
    Job,
    /// Time and quality.
    Effort,
    /// Camera reconstruction by COLMAP.
    Colmap,
    /// Training of Gaussians.
    Training,
    /// Which photos to use, and at what size.
    Photos,
}

/// Type of an option's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text of limited length.
    Text {
        /// Maximum length in characters.
        most_chars: usize,
    },
    /// A flag, off by default.
    Switch,
    /// An integer.
    Whole(Range),
    /// Whole seconds; commands accept a time with a unit.
    Seconds(Range),
    /// A number in this range.
    Decimal(RangeInclusive<f64>),
    /// One of these words, each with a description.
    Word(&'static [(&'static str, &'static str)]),
    /// An object whose schema has this name.
    Object(&'static str),
}

/// Range of an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Range on the command line.
    pub command: RangeInclusive<u64>,
    /// Range for clients of the service.
    pub served: RangeInclusive<u64>,
}

impl SceneOption {
    /// An option without names, which [`scene_options`] adds.
    fn of(kind: Kind) -> Self {
        Self {
            name: "",
            alias: None,
            field: "",
            flag: String::new(),
            help: String::new(),
            kind,
            value_name: "N",
            part: Part::Training,
            default: None,
            excludes: &[],
        }
    }

    /// Text of limited length.
    pub(super) fn text(most_chars: usize) -> Self {
        Self::of(Kind::Text { most_chars })
    }

    /// A flag.
    pub(super) fn switch() -> Self {
        Self::of(Kind::Switch)
    }

    /// An integer in a range.
    pub(super) fn whole(range: RangeInclusive<u64>) -> Self {
        Self::of(Kind::Whole(Range { served: range.clone(), command: range }))
    }

    /// A number of seconds in a range.
    pub(super) fn seconds(range: RangeInclusive<u64>) -> Self {
        Self::of(Kind::Seconds(Range { served: range.clone(), command: range }))
    }

    /// A number in a range.
    pub(super) fn decimal(range: RangeInclusive<f64>) -> Self {
        Self::of(Kind::Decimal(range))
    }

    /// One of these words.
    pub(super) fn word(words: &'static [(&'static str, &'static str)]) -> Self {
        Self::of(Kind::Word(words))
    }

    /// An object with the schema of this name.
    pub(super) fn object(schema: &'static str) -> Self {
        Self::of(Kind::Object(schema))
    }

    /// Sets the range for clients of the service.
    pub(super) fn served(mut self, served: RangeInclusive<u64>) -> Self {
        if let Kind::Whole(range) | Kind::Seconds(range) = &mut self.kind {
            range.served = served;
        }
        self
    }

    /// Sets the group; the default is training.
    pub(super) fn part(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// Sets the placeholder for the value; the default is `N`.
    pub(super) fn value(self, value_name: &'static str) -> Self {
        Self { value_name, ..self }
    }

    /// Sets the default, in words.
    pub(super) fn default(self, default: impl std::fmt::Display) -> Self {
        Self { default: Some(default.to_string()), ..self }
    }

    /// Sets the fields of options that it excludes.
    pub(super) fn excludes(self, excludes: &'static [&'static str]) -> Self {
        Self { excludes, ..self }
    }

    /// Converts the text of a form field or query parameter to a JSON value. A text that is not valid for the type stays a
    /// string, which is then rejected when the options are parsed.
    #[must_use]
    pub fn value_of(&self, text: &str) -> Value {
        let value = match self.kind {
            Kind::Text { .. } | Kind::Word(_) => None,
            Kind::Whole(_) | Kind::Seconds(_) => text.parse::<u64>().ok().map(Value::from),
            Kind::Decimal(_) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
            Kind::Switch | Kind::Object(_) => serde_json::from_str(text).ok(),
        };
        value.unwrap_or_else(|| text.into())
    }

    /// What is wrong with a client's number, as a sentence; `None` if it is in range.
    pub(super) fn range_fault(&self, value: &Value) -> Option<String> {
        let name = self.name;
        match &self.kind {
            Kind::Whole(Range { served, .. }) | Kind::Seconds(Range { served, .. }) => {
                let number = value.as_u64().filter(|number| !served.contains(number))?;
                Some(format!("`{name}` is {number}, and must be {} to {}", served.start(), served.end()))
            }
            Kind::Decimal(range) => {
                let number = value.as_f64().filter(|number| !range.contains(number))?;
                Some(format!("`{name}` is {number}, and must be {} to {}", range.start(), range.end()))
            }
            _ => None,
        }
    }
}

/// Generates [`super::SceneOptions`] and the list of its options, [`super::options`], from one entry per option: `/// help`, then
/// `field as "name" or "alias": type = description;`. The name defaults to that of the field.
macro_rules! scene_options {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    ($(
        $(#[doc = $doc:literal])+
        $field:ident $(as $name:literal $(or $alias:literal)?)?: $type:ty = $option:expr;
    )+) => {
        /// What may be chosen about a scene. [`options`] lists the same options with what is known of each.
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct SceneOptions {
            $(
                $(#[doc = $doc])+
                #[serde($(rename = $name, $(alias = $alias,)?)? skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        /// All options of a scene, in display order.
        pub fn options() -> &'static [SceneOption] {
            static OPTIONS: std::sync::LazyLock<Vec<SceneOption>> = std::sync::LazyLock::new(|| vec![
                $(SceneOption {
                    name: scene_options!(@name $field $($name)?),
                    alias: [$($($alias,)?)?].first().copied(),
                    field: stringify!($field),
                    flag: stringify!($field).replace('_', "-"),
                    help: [$($doc),+].map(str::trim).join(" "),
                    ..$option
                },)+
            ]);
            &OPTIONS
        }
    };
}

pub(super) use scene_options;
