
# What follows makes `cargo xtask` complete as `xtask` does.
function xtask
    cargo xtask $argv
end

function __xtask_of_cargo
    set -l words (commandline -opc)
    complete -C (string join ' ' -- $words[2..] '')(commandline -ct)
end

function __xtask_is_asked_of_cargo
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = xtask
end

complete -c cargo -n __xtask_is_asked_of_cargo -f -a '(__xtask_of_cargo)'
