#compdef deltaup
# Completion of deltaup in zsh. Without words of its own it completes names of files.
_deltaup() {
    local line program=${words[1]/#\~\//$HOME/}
    local -a found
    for line in "${(@f)$("$program" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -z $line ]] || found+=("${${line/:/\\:}/$'\t'/:}")
    done
    if (( $#found )); then
        _describe -V deltaup found
    else
        _files
    fi
}
if [[ $funcstack[1] == _deltaup ]]; then
    _deltaup "$@"
else
    compdef _deltaup deltaup
fi
