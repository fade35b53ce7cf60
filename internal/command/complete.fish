# Completion of deltaup in fish. Without words of its own it completes names of files.
function __deltaup_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    $program __complete $words[2..] 2>/dev/null
end
complete -c deltaup -e
complete -c deltaup -f -n '__deltaup_complete | string length -q' -a '(__deltaup_complete)'
