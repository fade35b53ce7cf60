package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/chars"
	"deltaup/mirror/internal/inside"
)

// errNoFolder is what comes of a mirror's folder that is not there.
var errNoFolder = errors.New("no such folder")

// looksRemote tells whether s is what only an address on the network looks like, its scheme left
// out or cut off: it has a password, a host and a port, or this machine's name.
func looksRemote(s string) bool {
	s = strings.ToLower(s)
	if strings.HasPrefix(s, "http:") || strings.HasPrefix(s, "https:") {
		return true
	}
	server, _, _ := strings.Cut(s, "/")
	if user, _, ok := strings.Cut(s, "@"); ok && strings.LastIndexByte(server[:min(len(server), len(user))], ':') > 0 {
		return true // the password, which may have slashes, ends at the "@"
	}
	server = server[strings.IndexByte(server, '@')+1:]
	name, rest := chars.Cut(server, chars.Lower+chars.Digits+".-")
	known := name == "localhost"
	if literal, ok := strings.CutPrefix(server, "["); ok { // IPv6
		name, rest, known = strings.Cut(literal, "]")
		if !known || !chars.Only(name, chars.Digits+"abcdef:.") {
			return false
		}
	}
	port, ok := strings.CutPrefix(rest, ":")
	return name != "" && (known && rest == "" || ok && chars.Some(port, chars.Digits))
}

// parseFolder takes a mirror's folder as users write it. What is no folder and looks like an
// address is refused at once.
func parseFolder(s string) (source, error) {
	if _, err := os.Lstat(s); err != nil && looksRemote(s) {
		shown, _, _ := strings.Cut(s, "?")              // no token
		shown = shown[strings.LastIndex(shown, "@")+1:] // and no password, wherever it ends
		return nil, fmt.Errorf(
			"%q is no folder; an address on the network begins with http:// or https://", shown)
	}
	return folderSource(s), nil
}

// folderSource is a mirror in a local folder.
type folderSource string

func (d folderSource) slow() bool { return false }

func (d folderSource) String() string { return string(d) }

func (d folderSource) open(_ context.Context, q request) (*answer, error) {
	path := filepath.FromSlash(q.name)
	if !filepath.IsLocal(path) {
		return nil, &failure{kind: refusedFailure, err: errors.New("not a name within a mirror")}
	}
	f, info, err := inside.Open(string(d), path)
	if err != nil {
		return nil, d.failure(err)
	}
	if short := q.offset + max(q.length, 0); info.Size() < short {
		_ = f.Close() // nothing was read
		return nil, corruptf("has %d bytes, at least %d are expected", info.Size(), short)
	}
	length := q.length
	if length < 0 {
		length = info.Size()
	}
	body := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, q.offset, length), f}
	return &answer{body: body, length: length, total: info.Size(), ranges: true}, nil
}

// failure tells a file that is not there from a mirror that is not there. Neither gets better by
// waiting.
func (d folderSource) failure(err error) error {
	if errors.Is(err, inside.ErrOutside) || errors.Is(err, inside.ErrIrregular) {
		return &failure{kind: corruptFailure, err: err}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return &failure{kind: refusedFailure, err: err}
	}
	if _, gone := os.Stat(string(d)); gone != nil {
		return &failure{kind: refusedFailure, err: errNoFolder}
	}
	return &failure{kind: missingFailure, err: err}
}

// hint tells who meant an address how one begins.
func (d folderSource) hint() string {
	first, _, _ := strings.Cut(string(d), "/")
	if strings.Contains(strings.Trim(first, "."), ".") {
		return " (an address on the network begins with https://)"
	}
	return ""
}
