package machine

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/plainfile"
)

// Limits of what is kept of a console.
const (
	consoleLines = 20
	consoleLine  = 200 // bytes
)

// pstoreFiles are what kernels leave of a panic, those first that systemd-pstore has moved. They
// are patterns relative to the machine's root, whose own path is taken literally.
var pstoreFiles = []string{
	"var/lib/systemd/pstore/*/dmesg.txt",
	"var/lib/systemd/pstore/*/*/dmesg.txt",
	"var/lib/systemd/pstore/dmesg-*",
	"sys/fs/pstore/dmesg-*",
	"sys/fs/pstore/console-*",
}

// LastConsole is the end of what the machine said before it restarted. It comes from pstore when a
// file there is younger than since, or else from the journal when the boot before was of slot. A
// slot of "" asks pstore only.
func (m Machine) LastConsole(ctx context.Context, slot string, since time.Time) []string {
	if text := m.pstore(since); text != "" {
		return lastLines(text)
	}
	if slot == "" || !m.Running() {
		return nil // the journal here is another machine's
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// A boot that failed early has no journal: the one before this boot is then another boot's.
	if !lastBootOf(ctx, slot) {
		return nil
	}
	out, err := journal(ctx, "--lines=20", "--output=short-monotonic").Output()
	if err != nil {
		return nil
	}
	return lastLines(string(out))
}

// journal is journalctl on the boot before. It fails without systemd, a persistent journal or an
// earlier boot.
func journal(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(
		ctx,
		"journalctl",
		append([]string{"--boot=-1", "--no-pager", "--quiet"}, args...)...)
}

// lastBootOf tells whether the boot before was of the slot.
func lastBootOf(ctx context.Context, slot string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := journal(ctx, "--dmesg", "--output=cat")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	found := bootOf(io.LimitReader(out, maxText), slot)
	cancel()
	cmd.Wait() // we have ended it
	return found
}

// bootOf reads a kernel's log up to the line with its command line, and tells whether that names
// the slot.
func bootOf(log io.Reader, slot string) bool {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if _, args, ok := strings.Cut(lines.Text(), "ommand line: "); ok {
			return slices.Contains(strings.Fields(args), argSlot+"="+slot)
		}
	}
	return false
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
			if err == nil && i.Mode().IsRegular() && i.ModTime().After(since) &&
				(info == nil || i.ModTime().After(info.ModTime())) {
				youngest, info = f, i
			}
		}
	}
	if info == nil {
		return ""
	}
	return textEnd(youngest)
}

// textEnd is the end of a file, at most maxText bytes; "" when it cannot be read.
func textEnd(file string) string {
	f, err := plainfile.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close() // read only
	if end, err := f.Seek(0, io.SeekEnd); err != nil {
		return ""
	} else if _, err := f.Seek(max(0, end-maxText), io.SeekStart); err != nil {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return ""
	}
	return string(b)
}

// lastLines keeps the end of a text, in printable ASCII, for terminals.
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
