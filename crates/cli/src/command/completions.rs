//! `completions`: scripts with which a shell completes commands and options.

use clap::Args;
use clap_complete::Shell;

use crate::error::Error;
use crate::output::World;

/// The options of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Completes command names with a colon in bash, which ends a word at `:` (`COMP_WORDBREAKS`).
///
/// The function joins the parts of a split name, calls clap's own function, and cuts each completion to the part after the
/// last `:`, since bash replaces only that part.
const BASH: &str = r#"
_tenants_with_colons() {
    local i last=0 at=0 glue=0
    local -a words=()
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        # Join a colon to the word before it, and the next word to the colon.
        if ((i > 1)) && { ((glue)) || [[ ${COMP_WORDS[i]} == :* ]]; }; then
            words[last]+="${COMP_WORDS[i]}"
        else
            last=${#words[@]}
            words[last]="${COMP_WORDS[i]}"
        fi
        if [[ ${COMP_WORDS[i]} == *: ]]; then glue=1; else glue=0; fi
        if ((i == COMP_CWORD)); then at=$last; fi
    done
    local whole="${words[at]}"
    local -a COMP_WORDS=("${words[@]}")
    local COMP_CWORD=$at
    _tenants "$1" "$whole" "${words[at > 0 ? at - 1 : 0]}"
    if [[ $whole == *:* && $COMP_WORDBREAKS == *:* ]]; then
        # Bash replaces only the part after the last colon.
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]="${COMPREPLY[i]#"${whole%"${whole##*:}"}"}"
        done
    fi
}

complete -F _tenants_with_colons -o bashdefault -o default tenants
"#;

/// Prints the script for `command`, the program with all of its commands.
///
/// # Errors
/// Fails if standard output cannot be written.
pub fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tenants", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match args.shell {
        Shell::Bash => script += BASH,
        // In `'name:description'` the first unescaped `:` ends the name for zsh.
        Shell::Zsh => {
            for subcommand in command.get_subcommands() {
                let name = subcommand.get_name();
                script = script.replace(
                    &format!("'{name}:"),
                    &format!("'{}:", name.replace(':', "\\:")),
                );
            }
        }
        _ => {}
    }
    world.print(script.trim_end())
}
