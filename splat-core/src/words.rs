//! Named values of options.

/// Defines an enum whose values users choose by name, each with a one-line description, which is its documentation as well: `ALL`,
/// `WORDS`, `name`, `summary` and `from_name`. The order is the display order.
#[macro_export]
macro_rules! words {
    ($(#[$attribute:meta])* $visibility:vis enum $type:ident {
        $($(#[$of_variant:meta])* $variant:ident = $name:literal, $summary:literal;)+
    }) => {
        $(#[$attribute])*
        $visibility enum $type {
            $(#[doc = $summary] $(#[$of_variant])* $variant,)+
        }

        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];
            /// The name and description of each value.
            pub const WORDS: [(&'static str, &'static str); [$($name),+].len()] = [$(($name, $summary)),+];

            /// The name used in options and files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Description in one line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$variant => $summary,)+
                }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }
        }
    };
}
