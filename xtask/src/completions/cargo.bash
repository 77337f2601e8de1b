
# What follows makes `cargo xtask` complete as `xtask` does.
xtask() {
    cargo xtask "$@"
}

_xtask_of_cargo() {
    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == xtask ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _xtask xtask "$2" "$3"
        return
    fi
    # Everything else is cargo's own. The package bash-completion would have loaded it, had nobody else spoken up for cargo.
    if [[ -v BASH_COMPLETION_VERSINFO ]] && ! declare -F _cargo >/dev/null; then
        local file
        for file in "$(rustc --print sysroot 2>/dev/null)/etc/bash_completion.d/cargo" \
            /usr/share/bash-completion/completions/cargo; do
            if [[ -r $file ]]; then
                source "$file"
                complete -o bashdefault -o default -F _xtask_of_cargo cargo
                break
            fi
        done
    fi
    if declare -F _cargo >/dev/null; then
        _cargo "$@"
    fi
}

complete -o bashdefault -o default -F _xtask_of_cargo cargo
