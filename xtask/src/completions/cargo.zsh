
# What follows makes `cargo xtask` complete as `xtask` does.
xtask() {
    cargo xtask "$@"
}

_xtask_of_cargo() {
    if (( CURRENT > 2 )) && [[ $words[2] == xtask ]]; then
        shift words
        (( CURRENT-- ))
        _xtask "$@"
    elif (( $+functions[_cargo] )); then
        _cargo "$@"
    else
        _default
    fi
}

compdef _xtask_of_cargo cargo
