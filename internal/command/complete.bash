# Completion of deltaup in bash. Without words of its own it completes names of files.
__start_deltaup() {
    local words tab=$'\t'
    mapfile -t words < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${#words[@]} -gt 1 && ${words[0]} == *"$tab"* ]]; then
        COMPREPLY=("${words[@]/%/)}")
        COMPREPLY=("${COMPREPLY[@]/$tab/  (}")
    else
        COMPREPLY=("${words[@]%%"$tab"*}")
    fi
}
complete -o default -F __start_deltaup deltaup
