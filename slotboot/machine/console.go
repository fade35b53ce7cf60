package machine

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of what is kept of a console.
const (
	consoleLines = 20
	consoleLine  = 200 // bytes
)

// pstoreFiles are what kernels leave of a panic, with what systemd-pstore moves away first. They are matched below the
// machine's root, whose own name is no pattern.
var pstoreFiles = []string{
	"var/lib/systemd/pstore/*/dmesg.txt",
	"var/lib/systemd/pstore/*/*/dmesg.txt",
	"var/lib/systemd/pstore/dmesg-*",
	"sys/fs/pstore/dmesg-*",
	"sys/fs/pstore/console-*",
}

// LastConsole is the end of what the machine said before it restarted: from pstore when a file there is younger than since,
// else from the journal of the boot before, else nothing.
func (m Machine) LastConsole(ctx context.Context, since time.Time) []string {
	if text := m.pstore(since); text != "" {
		return lastLines(text)
	}
	if !m.Running() {
		return nil // the journal is this machine's
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--boot=-1", "--lines=20", "--no-pager", "--quiet", "--output=short-monotonic").Output()
	if err != nil {
		return nil // no systemd, no persistent journal or no earlier boot
	}
	return lastLines(string(out))
}

// pstore is the text of the youngest file.
func (m Machine) pstore(since time.Time) string {
	var youngest string
	var info fs.FileInfo
	for _, pattern := range pstoreFiles {
		if !m.Running() && m.isType("/"+path.Dir(pattern), unix.PSTOREFS_MAGIC, unix.SYSFS_MAGIC) {
			continue // panics of this kernel, not of the machine's
		}
		files, _ := fs.Glob(os.DirFS(m.Path("/")), pattern) // fails on patterns only
		for _, name := range files {
			f := m.Path(name)
			i, err := os.Stat(f)
			if err == nil && i.Mode().IsRegular() && i.ModTime().After(since) && (info == nil || i.ModTime().After(info.ModTime())) {
				youngest, info = f, i
			}
		}
	}
	if info == nil {
		return ""
	}
	b, err := os.ReadFile(youngest)
	if err != nil || len(b) > maxText {
		return ""
	}
	return string(b)
}

// lastLines keeps the end of a text, as printable ASCII: it is shown on terminals.
func lastLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, line)
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line[:min(len(line), consoleLine)])
		}
	}
	return slices.Clone(lines[max(0, len(lines)-consoleLines):])
}
