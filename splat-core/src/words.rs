//! Words by which users choose one of a few values.

/// Gives an enum the words by which users choose its values, each with what it means in one line: `ALL`, `WORDS`, `name`, `summary`
/// and `from_name`. The order is the one in which users read them.
#[macro_export]
macro_rules! words {
    ($type:ident: $($variant:ident = $name:literal, $summary:literal;)+) => {
        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];
            /// The name of each value, and what it means.
            pub const WORDS: [(&'static str, &'static str); [$($name),+].len()] = [$(($name, $summary)),+];

            /// The name in options and files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, in one line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$variant => $summary,)+
                }
            }

            /// The value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }
        }
    };
}
