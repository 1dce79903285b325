//! The command line: words to commands, errors to one printer, exit codes 0 and 1.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use codex_auth_view::ListName;

use crate::{
    assemble::Product,
    commands::{
        account, auth_store, backup, best, budget, check, export, files, forecast, import, import_current, list, login,
        profile, remove, reset, restore, rotation, run, serve, switch, token, undo, unpin, usage, what_if,
        why_selected, wrapper,
    },
    environment::Environment,
    error::CliError,
    invocation::{Invocation, sort},
    misuse::misuse,
    official_binary,
    ui::Ui,
};

/// Several ChatGPT sign-ins behind one Codex CLI.
#[derive(Debug, Parser)]
#[command(
    name = "codex-multi-auth",
    disable_version_flag = true,
    after_help = "`codex-multi-auth --version` prints the version. `<command> --help` explains a command."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Sign in to ChatGPT and add the account
    #[command(visible_alias = "add")]
    Login(login::LoginArguments),
    /// Add the login codex itself has
    ImportCurrent(import_current::ImportCurrentArguments),
    /// Add the accounts of files of codex-multi-auth, OpenCode or codex
    Import(import::ImportArguments),
    /// Write the accounts, with their tokens, into a file
    Export(export::ExportArguments),
    /// Keep the accounts under a name, or show what is kept
    Backup(backup::BackupArguments),
    /// Show the accounts and who would serve next
    List(list::ListArguments),
    /// The same as list
    Status(list::ListArguments),
    /// Select and pin an account, and make it codex's own login
    Switch(switch::SwitchArguments),
    /// Remove the pin, so that routing chooses again
    Unpin(unpin::UnpinArguments),
    /// Remove an account from the pool; its sign-in is revoked only with --revoke
    #[command(visible_alias = "rm")]
    Remove(remove::RemoveArguments),
    /// Take back the last change, or one by its number
    Undo(undo::UndoArguments),
    /// Go back to the pool as a copy has it; tokens never go back
    Restore(restore::RestoreArguments),
    /// Empty the pool on purpose; `undo` brings it back
    Reset(reset::ResetArguments),
    /// Select the best account, and clear a pin
    Best(best::BestArguments),
    /// Show how long what is left will last, and which account to take
    Forecast(forecast::ForecastArguments),
    /// Ask the backend about every account; no model is asked
    Check(check::CheckArguments),
    /// Show who serves the next request, and why not the others
    WhySelected(why_selected::WhyArguments),
    /// Count how recorded choices would have been others, under another strategy or pin
    WhatIf(what_if::WhatIfArguments),
    /// Say what is wanted of single accounts: tags, weight, pause, drain, reserve, note
    Account(account::AccountArguments),
    /// Show or change the rules of the project of this directory
    Profile(profile::ProfileArguments),
    /// Limit requests, tokens or cost in an hour, a day, a week or a month
    Budget(budget::BudgetArguments),
    /// Show where codex keeps its login, or make it keep it in auth.json
    AuthStore(auth_store::AuthStoreArguments),
    /// Show or set the routing of sessions
    Rotation(rotation::RotationArguments),
    /// Show what requests took, by model, account, project, outcome or day
    Usage(usage::UsageArguments),
    /// Show every file kept for this program, and how it is
    Files(files::FilesArguments),
    /// Put a `codex` that leads here into a directory of ours, or remove it
    Wrapper(wrapper::WrapperArguments),
    /// Print a capability to the agent: limited, revocable, for containers, CI and other programs
    Token(token::TokenArguments),
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
        Invocation::Launcher => with_launcher(ui),
        Invocation::Bypass(words) => with_product(environment, ui, |product| {
            run::plain(&official_binary::find(&product.environment, &product.own_path)?, &words)
        }),
    }
}

/// Desktop shortcuts made by the predecessor still call this name.
fn with_launcher(ui: Ui) -> ExitCode {
    let error = CliError::usage("This version does not route the desktop app.")
        .hint("Start codex in a terminal, where `codex-multi-auth wrapper install` routes it.");
    error.report(ui, "codex-multi-auth-app-launcher", false);
    ExitCode::FAILURE
}

fn manage(words: Vec<OsString>, environment: Environment, ui: Ui) -> ExitCode {
    if matches!(&words[..], [only] if only == "--version" || only == "-v" || only == "-V") {
        ui.line(env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let typed = words.clone();
    let parsed = Cli::try_parse_from([OsString::from("codex-multi-auth")].into_iter().chain(words));
    match parsed {
        Ok(Cli { command: Some(command) }) => {
            let (name, as_json) = command.face();
            answered(ended(environment, ui, |product| command.run(product)), ui, name, as_json)
        }
        Ok(Cli { command: None }) => {
            ui.data(&help());
            ExitCode::SUCCESS
        }
        Err(error) => unparsed(&error, ui, &typed),
    }
}

fn unparsed(error: &clap::Error, ui: Ui, typed: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        ui.data(&error.to_string());
        return ExitCode::SUCCESS;
    }
    let command = typed.first().and_then(|word| word.to_str()).unwrap_or("codex-multi-auth");
    let as_json = typed.iter().any(|word| word == "--json" || word == "-j");
    answered(Err(misuse(error, command)), ui, command, as_json)
}

fn help() -> String {
    use clap::CommandFactory;
    Cli::command().render_help().to_string()
}

/// How a command is used.
pub(crate) fn help_of(command: &str) -> String {
    use clap::CommandFactory;
    let mut all = Cli::command();
    all.build();
    all.find_subcommand_mut(command).map(|found| found.render_help().to_string()).unwrap_or_default()
}

impl Commands {
    /// The command's name in documents, and whether one is wanted.
    fn face(&self) -> (&'static str, bool) {
        match self {
            Self::Login(asked) => ("login", asked.json.is_wanted()),
            Self::ImportCurrent(asked) => ("import-current", asked.json.is_wanted()),
            Self::Import(asked) => ("import", asked.json.is_wanted()),
            Self::List(asked) => ("list", asked.json.is_wanted()),
            Self::Status(asked) => ("status", asked.json.is_wanted()),
            Self::Switch(asked) => ("switch", asked.json.is_wanted()),
            Self::Unpin(asked) => ("unpin", asked.json.is_wanted()),
            Self::Remove(asked) => ("remove", asked.json.is_wanted()),
            Self::Undo(asked) => ("undo", asked.json.is_wanted()),
            Self::Restore(asked) => ("restore", asked.json.is_wanted()),
            Self::Reset(asked) => ("reset", asked.json.is_wanted()),
            Self::Best(asked) => ("best", asked.json.is_wanted()),
            Self::Forecast(asked) => ("forecast", asked.json.is_wanted()),
            Self::Check(asked) => ("check", asked.json.is_wanted()),
            Self::WhySelected(asked) => ("why-selected", asked.json.is_wanted()),
            Self::WhatIf(asked) => ("what-if", asked.json.is_wanted()),
            Self::Export(asked) => ("export", asked.json.is_wanted()),
            Self::Backup(asked) => ("backup", asked.json.is_wanted()),
            Self::Account(asked) => (asked.name(), asked.wants_json()),
            Self::Profile(asked) => (asked.name(), asked.wants_json()),
            Self::Budget(asked) => (asked.name(), asked.wants_json()),
            Self::AuthStore(asked) => ("auth-store", asked.wants_json()),
            Self::Rotation(asked) => (asked.name(), asked.wants_json()),
            Self::Usage(asked) => (asked.name(), asked.wants_json()),
            Self::Files(asked) => ("files", asked.json.is_wanted()),
            Self::Wrapper(asked) => (asked.name(), asked.wants_json()),
            Self::Token(asked) => (asked.name(), asked.wants_json()),
            Self::Run { .. } => ("run", false),
            Self::Serve(_) => ("serve", false),
            #[cfg(feature = "demo")]
            Self::Demo(_) => ("demo", false),
        }
    }

    fn run(self, product: &Product) -> Result<ExitCode, CliError> {
        match self {
            Self::Login(asked) => login::login(product, &asked),
            Self::ImportCurrent(asked) => import_current::import_current(product, asked),
            Self::Import(asked) => import::import(product, &asked),
            Self::List(asked) => list::list(product, ListName::List, &asked),
            Self::Status(asked) => list::list(product, ListName::Status, &asked),
            Self::Switch(asked) => switch::switch(product, &asked),
            Self::Unpin(asked) => unpin::unpin(product, &asked),
            Self::Remove(asked) => remove::remove(product, &asked),
            Self::Undo(asked) => undo::undo(product, &asked),
            Self::Restore(asked) => restore::restore(product, &asked),
            Self::Reset(asked) => reset::reset(product, &asked),
            Self::Best(asked) => best::best(product, &asked),
            Self::Forecast(asked) => forecast::forecast(product, &asked),
            Self::Check(asked) => check::check(product, asked),
            Self::WhySelected(asked) => why_selected::why_selected(product, &asked),
            Self::WhatIf(asked) => what_if::what_if(product, &asked),
            Self::Export(asked) => export::export(product, &asked),
            Self::Backup(asked) => backup::backup(product, &asked),
            Self::Account(asked) => account::account(product, asked),
            Self::Profile(asked) => profile::profile(product, asked),
            Self::Budget(asked) => budget::budget(product, asked),
            Self::AuthStore(asked) => auth_store::auth_store(product, asked),
            Self::Rotation(asked) => rotation::rotation(product, &asked),
            Self::Usage(asked) => usage::usage(product, &asked),
            Self::Files(asked) => Ok(files::files(product, asked)),
            Self::Wrapper(asked) => wrapper::wrapper(product, &asked),
            Self::Token(asked) => token::token(product, &asked),
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
    answered(ended(environment, ui, act), ui, "codex-multi-auth", false)
}

/// Runs a command to its very end: the files say what it did, and what was mended on the way is told.
fn ended(
    environment: Environment,
    ui: Ui,
    act: impl FnOnce(&Product) -> Result<ExitCode, CliError>,
) -> Result<ExitCode, CliError> {
    let product = Product::of(environment, ui)?.settled();
    let result = act(&product);
    product.finish();
    result
}

/// The end of an invocation: errors go to one printer.
fn answered(result: Result<ExitCode, CliError>, ui: Ui, command: &str, as_json: bool) -> ExitCode {
    result.unwrap_or_else(|error| {
        error.report(ui, command, as_json);
        ExitCode::FAILURE
    })
}
