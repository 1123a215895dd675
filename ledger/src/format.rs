use clap::{Args, ValueEnum};

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For spreadsheets.
    Csv,
    /// For programs: one object, or one a line.
    Json,
}

/// How it is asked for.
#[derive(Args, Clone, Copy, Debug)]
pub struct FormatArgs {
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with_all = ["format", "csv"])]
    json: bool,
    /// The same as `--format csv`.
    #[arg(long, conflicts_with = "format")]
    csv: bool,
}

impl FormatArgs {
    /// The one that is meant.
    pub fn format(self) -> Format {
        match self {
            Self { json: true, .. } => Format::Json,
            Self { csv: true, .. } => Format::Csv,
            Self { format, .. } => format,
        }
    }
}
