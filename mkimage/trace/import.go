package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"deltaup/mkimage/internal/recipetext"
)

// peekSize is how much of a file tells what it is.
const peekSize = 64 << 10

// Read reads a trace in any form: what Trace.WriteTo wrote, the output of
// strace -f -e trace=%file, or paths, one a line, empty lines and those that begin with "#"
// left out. Errors are as Parse's.
func Read(rd io.Reader) (*Trace, error) {
	in := bufio.NewReaderSize(rd, peekSize)
	head, err := in.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte(format.Magic+" ")):
		return Parse(in)
	case straceCall.Match(head):
		return readLines(in, newStrace())
	}
	return readLines(in, list{})
}

// liner takes one line of a foreign format and gives the path that it tells of: "" when none.
type liner interface {
	line(text string) (path string, at time.Duration, err error)
}

// readLines makes a trace of the files that the lines tell of, in their order.
func readLines(rd io.Reader, l liner) (*Trace, error) {
	in := bufio.NewScanner(rd)
	in.Buffer(nil, maxLine)
	t := &Trace{}
	seen := make(map[string]bool)
	n := 0
	for in.Scan() {
		n++
		name, at, err := l.line(in.Text())
		if err != nil {
			return nil, fmt.Errorf("trace: line %d: %w", n, err)
		}
		// Rooted before it is cleaned, so that ".." cannot lead out of the image.
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if name == "" || seen[name] {
			continue
		}
		if err := checkPath(name); err != nil {
			return nil, fmt.Errorf("trace: line %d: %w", n, err)
		}
		if len(t.Files) == MaxFiles {
			return nil, fmt.Errorf("trace: line %d: %w", n,
				recipetext.Corrupt("more than %d files", MaxFiles))
		}
		if len(t.Files) > 0 {
			at = max(at, t.Files[len(t.Files)-1].First)
		}
		seen[name] = true
		t.Files = append(t.Files, File{Path: name, First: at})
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("trace: line %d: %w", n+1,
			recipetext.Corrupt("longer than %d bytes", maxLine))
	}
	if in.Err() != nil {
		return nil, fmt.Errorf("read trace: %w", in.Err())
	}
	return t, nil
}

// list is a plain list of paths.
type list struct{}

func (list) line(text string) (string, time.Duration, error) {
	if text == "" || strings.HasPrefix(text, "#") {
		return "", 0, nil
	}
	return text, 0, nil
}

// straceCall is a system call, as strace prints it, that opens what it names. Before it may
// stand a process number (-f, -o) and a time (-t, -r, -ttt). The groups: process, seconds,
// folder (of -y), path.
var straceCall = regexp.MustCompile(`(?m)^(?:\[pid +)?(\d+)?\]? *(?:(\d+\.\d+|[\d:.]+) +)?` +
	`(?:open|creat|openat|openat2|execve|execveat|uselib)\(` +
	`(?:(?:AT_FDCWD|\d+)(?:<((?:[^>\\]|\\.)*)>)?, )?"((?:[^"\\]|\\.)*)"`)

// straceEnd is how a call ends that another process's line interrupted.
var straceEnd = regexp.MustCompile(`^(?:\[pid +)?(\d+)?\]? *(?:[\d:.]+ +)?<\.\.\. \w+ resumed>`)

// strace reads the lines of strace.
type strace struct {
	pending map[string]string // process: the path of its unfinished call
	start   float64           // seconds of the first line with a time
}

func newStrace() *strace { return &strace{pending: make(map[string]string)} }

// maxPending bounds how many calls are unfinished at once.
const maxPending = 1 << 15

func (s *strace) line(text string) (string, time.Duration, error) {
	if end := straceEnd.FindStringSubmatch(text); end != nil {
		name := s.pending[end[1]]
		delete(s.pending, end[1])
		return succeeded(name, text), 0, nil
	}
	call := straceCall.FindStringSubmatch(text)
	if call == nil {
		return "", 0, nil
	}
	name, err := unquote(call[4])
	if err != nil {
		return "", 0, err
	}
	if !strings.HasPrefix(name, "/") {
		folder, err := unquote(call[3])
		if err != nil || folder == "" {
			return "", 0, err // relative to a folder that only strace -y tells
		}
		name = folder + "/" + name
	}
	if strings.HasSuffix(text, "<unfinished ...>") {
		if len(s.pending) == maxPending {
			return "", 0, recipetext.Corrupt("more than %d unfinished calls", maxPending)
		}
		s.pending[call[1]] = name
		return "", 0, nil
	}
	return succeeded(name, text), s.since(call[2]), nil
}

// since is the time between the first line and the one with this time, where strace -ttt gave one.
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

// succeeded gives name back if the call at the end of the line did what it was asked.
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

// octal counts the octal digits, at most three, at the front of text.
func octal(text string) int {
	n := 0
	for n < 3 && n < len(text) && '0' <= text[n] && text[n] <= '7' {
		n++
	}
	return n
}
