//! The command line: words to commands, errors to one printer, exit codes 0 and 1.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    assemble::Product,
    commands::{run, serve},
    environment::Environment,
    error::CliError,
    invocation::{Invocation, sort},
    official_binary,
    ui::Ui,
};

/// Several ChatGPT sign-ins behind one Codex CLI.
#[derive(Debug, Parser)]
#[command(name = "codex-multi-auth", version, disable_version_flag = true, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Run the official codex through the agent
    Run {
        /// Arguments of codex
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the agent in the foreground
    Serve(serve::ServeArguments),
    /// Show the main job in ten seconds, against a fake OpenAI on this machine
    #[cfg(feature = "demo")]
    Demo(crate::commands::demo::DemoArguments),
}

/// Answers one invocation of this program.
pub(crate) fn answer(program: &OsStr, words: Vec<OsString>, environment: Environment, ui: Ui) -> ExitCode {
    #[cfg(feature = "demo")]
    if std::path::Path::new(program).file_name() == Some(OsStr::new(crate::commands::demo::CLIENT_NAME)) {
        return crate::commands::demo::answer_as_client(&words, &environment, ui);
    }
    let bypass = environment.switch("CODEX_MULTI_AUTH_BYPASS") == Some(true);
    match sort(program, words, bypass) {
        Invocation::Manager(words) => manage(words, environment, ui),
        Invocation::Wrapper(words) => with_product(environment, ui, |product| run::run(product, &words)),
        Invocation::Bypass(words) => with_product(environment, ui, |product| {
            run::plain(&official_binary::find(&product.environment, &product.own_path)?, &words)
        }),
    }
}

fn manage(words: Vec<OsString>, environment: Environment, ui: Ui) -> ExitCode {
    if matches!(&words[..], [only] if only == "--version" || only == "-v" || only == "-V") {
        ui.line(env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let parsed = Cli::try_parse_from([OsString::from("codex-multi-auth")].into_iter().chain(words));
    match parsed {
        Ok(Cli { command: Some(command) }) => with_product(environment, ui, |product| command.run(product)),
        Ok(Cli { command: None }) => {
            ui.data(&help());
            ExitCode::SUCCESS
        }
        Err(error) => unparsed(&error, ui),
    }
}

fn unparsed(error: &clap::Error, ui: Ui) -> ExitCode {
    if error.use_stderr() {
        ui.say(error.to_string().trim_end());
        return ExitCode::FAILURE;
    }
    ui.data(&error.to_string());
    ExitCode::SUCCESS
}

fn help() -> String {
    use clap::CommandFactory;
    Cli::command().render_help().to_string()
}

impl Commands {
    fn run(self, product: &Product) -> Result<ExitCode, CliError> {
        match self {
            Self::Run { arguments } => run::run(product, &arguments),
            Self::Serve(arguments) => serve::serve(product, &arguments),
            #[cfg(feature = "demo")]
            Self::Demo(arguments) => crate::commands::demo::demo(product, &arguments),
        }
    }
}

fn with_product(
    environment: Environment,
    ui: Ui,
    act: impl FnOnce(&Product) -> Result<ExitCode, CliError>,
) -> ExitCode {
    match Product::of(environment, ui).and_then(|product| act(&product)) {
        Ok(code) => code,
        Err(error) => {
            error.report(ui, "codex-multi-auth", false);
            ExitCode::FAILURE
        }
    }
}
