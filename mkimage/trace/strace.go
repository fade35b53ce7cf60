package trace

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"deltaup/internal/chars"
	"deltaup/mkimage/internal/recipetext"
)

// openCalls are the system calls that open what they name.
var openCalls = []string{"open", "creat", "openat", "openat2", "execve", "execveat", "uselib"}

// hasCalls tells whether a file that begins with head is the output of strace.
func hasCalls(head []byte) bool {
	for line := range strings.Lines(string(head)) {
		_, _, call := splitStrace(line)
		if _, _, ok := opened(call); ok {
			return true
		}
	}
	return false
}

// splitStrace splits a line of strace into a process number (-f, -o), a time (-t, -r, -ttt) and the
// call. The first two are "" where the line has none.
func splitStrace(text string) (process, stamp, call string) {
	text, _ = strings.CutPrefix(text, "[pid ")
	text = strings.TrimLeft(text, " ")
	number, rest := chars.Cut(text, chars.Digits)
	if rest != "" && strings.IndexByte(":.", rest[0]) < 0 { // not the front of a time
		process, text = number, rest
	}
	text = strings.TrimLeft(strings.TrimPrefix(text, "]"), " ")
	if at, rest := chars.Cut(text, chars.Digits+":."); strings.HasPrefix(rest, " ") {
		stamp, text = at, strings.TrimLeft(rest, " ")
	}
	return process, stamp, text
}

// resumes tells whether a call is the end of one that another process's line interrupted.
func resumes(call string) bool {
	name, ok := strings.CutPrefix(call, "<... ")
	_, rest, _ := strings.Cut(name, " ")
	return ok && strings.HasPrefix(rest, "resumed>")
}

// opened gives what a call opens, with escapes, and the folder that it is relative to, which only
// strace -y tells. It is false for another call.
func opened(call string) (folder, name string, ok bool) {
	call, args, _ := strings.Cut(call, "(")
	if !slices.Contains(openCalls, call) {
		return "", "", false
	}
	rest, isDir := strings.CutPrefix(args, "AT_FDCWD")
	if !isDir {
		var number string
		number, rest = chars.Cut(args, chars.Digits)
		isDir = number != ""
	}
	if isDir {
		if inner, ok := strings.CutPrefix(rest, "<"); ok {
			if folder, rest, ok = cutEscaped(inner, '>'); !ok {
				return "", "", false
			}
		}
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return "", "", false
		}
	}
	if rest, ok = strings.CutPrefix(rest, `"`); !ok {
		return "", "", false
	}
	name, _, ok = cutEscaped(rest, '"')
	return folder, name, ok
}

// cutEscaped splits text at the first end that no backslash stands before.
func cutEscaped(text string, end byte) (before, after string, ok bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case end:
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

// strace reads the lines of strace.
type strace struct {
	pending map[string]string // path of the unfinished call, by process
	start   float64           // seconds of the first line with a time
}

func newStrace() *strace { return &strace{pending: make(map[string]string)} }

// maxPending bounds how many calls may be unfinished at once.
const maxPending = 1 << 15

func (s *strace) line(text string) (string, time.Duration, error) {
	process, stamp, call := splitStrace(text)
	if resumes(call) {
		name := s.pending[process]
		delete(s.pending, process)
		return succeeded(name, text), 0, nil
	}
	folder, name, ok := opened(call)
	if !ok {
		return "", 0, nil
	}
	name, err := unquote(name)
	if err != nil {
		return "", 0, err
	}
	if !strings.HasPrefix(name, "/") {
		folder, err := unquote(folder)
		if err != nil || folder == "" {
			return "", 0, err // relative to a folder that only strace -y tells
		}
		name = folder + "/" + name
	}
	if strings.HasSuffix(text, "<unfinished ...>") {
		if len(s.pending) == maxPending {
			return "", 0, recipetext.Corrupt("more than %d unfinished calls", maxPending)
		}
		s.pending[process] = name
		return "", 0, nil
	}
	return succeeded(name, text), s.since(stamp), nil
}

// since is the time from the first line to the one with this time stamp, of strace -ttt.
func (s *strace) since(stamp string) time.Duration {
	at, err := strconv.ParseFloat(stamp, 64)
	if err != nil || at < 0 || at > 1<<40 {
		return 0
	}
	if s.start == 0 {
		s.start = at
	}
	return max(0, time.Duration((at-s.start)*1e6)*time.Microsecond)
}

// succeeded gives name back if the line says that the call succeeded, else "".
func succeeded(name, text string) string {
	i := strings.LastIndex(text, " = ")
	if i < 0 || strings.HasPrefix(text[i:], " = -1 ") || strings.HasPrefix(text[i:], " = ?") {
		return ""
	}
	return name
}

// unquote undoes the escapes of strace, which are those of C.
func unquote(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b = append(b, text[i])
			continue
		}
		i++
		if i == len(text) {
			return "", recipetext.Corrupt("%q: bad escape", text)
		}
		if n := octal(text[i:]); n > 0 {
			v, err := strconv.ParseUint(text[i:i+n], 8, 8)
			if err != nil {
				return "", recipetext.Corrupt("%q: bad escape", text)
			}
			b, i = append(b, byte(v)), i+n-1
			continue
		}
		if j := strings.IndexByte(`abfnrtv"\`, text[i]); j >= 0 {
			b = append(b, "\a\b\f\n\r\t\v\"\\"[j])
			continue
		}
		return "", recipetext.Corrupt("%q: bad escape", text)
	}
	return string(b), nil
}

// octal counts the octal digits at the front of text, at most three.
func octal(text string) int {
	n := 0
	for n < 3 && n < len(text) && '0' <= text[n] && text[n] <= '7' {
		n++
	}
	return n
}
