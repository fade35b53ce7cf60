# Completion of deltaup in bash. Without words of its own it completes names of files.
__start_deltaup() {
    local words tab=$'\t' program=${COMP_WORDS[0]/#\~\//"$HOME/"}
    mapfile -t words < <("$program" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    # 37 and 42 are menu-complete and insert-completions, which put all of a word on the line.
    if [[ ${#words[@]} -gt 1 && ${words[0]} == *"$tab"* && $COMP_TYPE != 37 && $COMP_TYPE != 42 ]]
    then
        COMPREPLY=("${words[@]/%/)}")
        COMPREPLY=("${COMPREPLY[@]/$tab/  (}")
    else
        COMPREPLY=("${words[@]%%"$tab"*}")
    fi
}
complete -o default -F __start_deltaup deltaup
