//! Options of scenes as command-line options, generated from the list that the service uses too, in
//! `splat-server/src/scene/options.rs`.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::{Map, Value};
use splat_server::scene::{self, Kind, Part, SceneOption, SceneOptions};

/// [`SceneArgs`] for training with `splat run` and `splat train`.
pub(crate) const TRAINING: u8 = bit(Part::Effort) | bit(Part::Training) | bit(Part::Photos);
/// [`SceneArgs`] for commands that run COLMAP.
pub(crate) const COLMAP: u8 = bit(Part::Colmap);
/// [`SceneArgs`] for commands that read a dataset.
pub(crate) const PHOTOS: u8 = bit(Part::Photos);

const fn bit(part: Part) -> u8 {
    1 << part as u8
}

/// Options of scenes of some groups: `PARTS` is a set of bits, one per [`Part`].
#[derive(Clone, Debug, Default)]
pub(crate) struct SceneArgs<const PARTS: u8>(pub(crate) SceneOptions);

impl<const PARTS: u8> SceneArgs<PARTS> {
    fn options() -> impl Iterator<Item = &'static SceneOption> {
        scene::options().iter().filter(|option| PARTS & bit(option.part) != 0)
    }
}

impl<const PARTS: u8> Args for SceneArgs<PARTS> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::options().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const PARTS: u8> FromArgMatches for SceneArgs<PARTS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |option: &SceneOption| match option.kind {
            Kind::Switch => matches.get_flag(option.field).then_some(Value::Bool(true)),
            _ => matches.get_one::<Value>(option.field).cloned(),
        };
        let chosen: Map<_, _> =
            Self::options().filter_map(|option| Some((option.name.to_owned(), value(option)?))).collect();
        let options = serde_json::from_value(Value::Object(chosen));
        options.map(Self).map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The command-line option for an option of scenes.
fn arg(option: &'static SceneOption) -> Arg {
    let default = option.default.as_ref().map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let heading = match option.part {
        Part::Job | Part::Effort => None,
        Part::Colmap => Some("COLMAP"),
        Part::Training => Some("Training"),
        Part::Photos => Some("Photos"),
    };
    let example = if matches!(option.kind, Kind::Seconds(_)) { ": 45s, 10m, 2h" } else { "" };
    let arg = Arg::new(option.field)
        .long(option.flag.as_str())
        .help(format!("{}{example}{default}", option.help))
        .help_heading(heading)
        .conflicts_with_all(option.excludes);
    match option.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        _ => arg.value_name(option.value_name).value_parser(value_parser(option)),
    }
}

fn value_parser(option: &'static SceneOption) -> ValueParser {
    let between =
        |text: &str, least: &str, most: &str| format!("`{text}` is no number from {least} to {most}");
    match &option.kind {
        Kind::Word(words) => word_parser(words, |name| Some(Value::from(name))).into(),
        Kind::Seconds(range) => ValueParser::new(move |text: &str| {
            let seconds = seconds(text)?;
            let fault =
                || between(text, &range.command.start().to_string(), &range.command.end().to_string());
            Some(seconds).filter(|seconds| range.command.contains(seconds)).map(Value::from).ok_or_else(fault)
        }),
        Kind::Whole(range) => ValueParser::new(move |text: &str| {
            let number = text.parse().ok().filter(|number| range.command.contains(number));
            let fault =
                || between(text, &range.command.start().to_string(), &range.command.end().to_string());
            number.map(Value::from).ok_or_else(fault)
        }),
        Kind::Decimal(range) => ValueParser::new(move |text: &str| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number
                .map(Value::from)
                .ok_or_else(|| between(text, &range.start().to_string(), &range.end().to_string()))
        }),
        Kind::Text { .. } | Kind::Switch | Kind::Object(_) => {
            ValueParser::new(move |text: &str| Ok::<_, String>(option.value_of(text)))
        }
    }
}

/// Accepts one of some words, which help and completions list, and converts it with `value`.
pub(crate) fn word_parser<T: Clone + Send + Sync + 'static>(
    words: &'static [(&'static str, &'static str)],
    value: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().map(|&(name, summary)| PossibleValue::new(name).help(summary)))
        .map(move |name| value(&name).expect("clap admits only these words"))
}

/// Parses a time with its unit to whole seconds.
fn seconds(text: &str) -> Result<u64, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_secs(1) => Ok(time.as_secs()),
        Ok(_) => Err("a scene takes at least a second".into()),
        Err(_) => Err("give a time with its unit, as 45s, 10m or 2h".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        training: SceneArgs<TRAINING>,
        #[command(flatten)]
        colmap: SceneArgs<COLMAP>,
    }

    /// Parses a command line; returns the options of both groups.
    fn read(line: &str) -> Result<[SceneOptions; 2], String> {
        let line = Line::try_parse_from(std::iter::once("splat").chain(line.split(' ')));
        line.map(|line| [line.training.0, line.colmap.0]).map_err(|error| error.to_string())
    }

    /// A flag and the JSON field of the same option are equivalent.
    #[test]
    fn every_option_of_the_list_is_one_of_commands() {
        for option in scene::options().iter().filter(|option| option.part != Part::Job) {
            let (text, json) = match &option.kind {
                Kind::Switch => (String::new(), Value::Bool(true)),
                Kind::Whole(range) => (format!("={}", range.served.end()), (*range.served.end()).into()),
                Kind::Seconds(range) => (format!("={}s", range.served.end()), (*range.served.end()).into()),
                Kind::Decimal(_) => ("=0.25".to_owned(), 0.25.into()),
                Kind::Word(words) => (format!("={}", words[0].0), words[0].0.into()),
                Kind::Text { .. } | Kind::Object(_) => continue,
            };
            let chosen = read(&format!("--{}{text}", option.flag)).unwrap_or_else(|error| panic!("{error}"));
            let of_colmap = usize::from(option.part == Part::Colmap);
            let expected: Map<_, _> = [(option.name.to_owned(), json)].into_iter().collect();
            assert_eq!(serde_json::to_value(&chosen[of_colmap]).ok(), Some(Value::Object(expected)));
            assert_eq!(chosen[1 - of_colmap], SceneOptions::default(), "--{}", option.flag);
        }
    }

    #[test]
    fn values_that_no_scene_takes_are_refused_in_a_sentence() {
        for (line, why) in [
            ("--steps=0", "no number from 1 to 10000000"),
            ("--scale-floor=nan", "no number from 0 to 100"),
            ("--sh-degree=4", "no number from 0 to 3"),
            ("--quality=best", "possible values: low, medium, high, extreme"),
            ("--budget=10m --steps=9", "cannot be used with"),
        ] {
            let error = read(line).err().unwrap_or_default();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
