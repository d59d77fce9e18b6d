//! What is known of an option: its names, values, range and help, for all that read or show options.

use std::ops::RangeInclusive;

use serde_json::Value;

/// One option of a scene.
#[derive(Clone, Debug)]
pub struct SceneOption {
    /// Name in JSON, forms, queries, addresses and stored jobs.
    pub name: &'static str,
    /// Another name there.
    pub alias: Option<&'static str>,
    /// Name of the field of [`super::SceneOptions`].
    pub field: &'static str,
    /// Name as an option of commands, without the dashes.
    pub flag: String,
    /// What it is for, in a sentence without a full stop.
    pub help: String,
    /// Values that it takes.
    pub kind: Kind,
    /// Placeholder for the value in the help of commands.
    pub value_name: &'static str,
    /// What it belongs to.
    pub part: Part,
    /// What holds where it is left out, in words.
    pub default: Option<String>,
    /// Fields of options that it cannot stand beside.
    pub excludes: &'static [&'static str],
}

/// What an option belongs to. Commands take the parts that they have a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The job, not the scene: its title, its webhook. Commands have no such options.
    Job,
    /// How much time the scene is worth.
    Effort,
    /// How COLMAP finds cameras.
    Colmap,
    /// How Gaussians are trained.
    Training,
    /// Which photos, and at what size.
    Photos,
}

/// Values of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Any text of so many characters.
    Text {
        /// Maximum length in characters.
        most_chars: usize,
    },
    /// On or off; off where it is left out.
    Switch,
    /// A whole number.
    Whole(Range),
    /// Whole seconds; commands take a time with its unit.
    Seconds(Range),
    /// A number of this range.
    Decimal(RangeInclusive<f64>),
    /// One of these words, each with its meaning.
    Word(&'static [(&'static str, &'static str)]),
    /// An object whose schema has this name.
    Object(&'static str),
}

/// What a whole number may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// For the owner of the machine, at the command line.
    pub command: RangeInclusive<u64>,
    /// For clients of the service.
    pub served: RangeInclusive<u64>,
}

impl SceneOption {
    /// An option without its names, which [`scene_options`] adds.
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

    /// Any text of so many characters.
    pub(super) fn text(most_chars: usize) -> Self {
        Self::of(Kind::Text { most_chars })
    }

    /// On or off.
    pub(super) fn switch() -> Self {
        Self::of(Kind::Switch)
    }

    /// A whole number in a range.
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

    /// One of some words.
    pub(super) fn word(words: &'static [(&'static str, &'static str)]) -> Self {
        Self::of(Kind::Word(words))
    }

    /// An object of the named schema.
    pub(super) fn object(schema: &'static str) -> Self {
        Self::of(Kind::Object(schema))
    }

    /// Clients of the service may ask for this much of it.
    pub(super) fn served(mut self, served: RangeInclusive<u64>) -> Self {
        if let Kind::Whole(range) | Kind::Seconds(range) = &mut self.kind {
            range.served = served;
        }
        self
    }

    /// What it belongs to; training, where nothing is said.
    pub(super) fn part(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// The placeholder for its value; `N`, where nothing is said.
    pub(super) fn value(self, value_name: &'static str) -> Self {
        Self { value_name, ..self }
    }

    /// What holds where it is left out.
    pub(super) fn default(self, default: impl std::fmt::Display) -> Self {
        Self { default: Some(default.to_string()), ..self }
    }

    /// Fields of options that it cannot stand beside.
    pub(super) fn excludes(self, excludes: &'static [&'static str]) -> Self {
        Self { excludes, ..self }
    }

    /// The value that a text means: a field of a form, a parameter of a query. What is none of its values stays a text, which the reader
    /// of options refuses.
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

    /// What is wrong with a number that a client sent, as a sentence; `None` when nothing is.
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

/// Makes [`super::SceneOptions`] and the list of its options, [`super::options`], of one line an option:
/// `/// help`, then `field as "name" or "alias": type = what it is;`. The name is the field's where none is given.
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

        /// All options of a scene, in the order in which people read them.
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
