use clap::Args;
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill completions bash > ~/.local/share/bash-completion/completions/firedrill
  firedrill completions fish > ~/.config/fish/completions/firedrill.fish
  firedrill completions zsh > ~/.zfunc/_firedrill")]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}
