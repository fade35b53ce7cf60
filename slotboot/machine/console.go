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

// pstoreFiles are what kernels leave of a panic, with what systemd-pstore moves away first. They
// are matched below the machine's root, whose own name is no pattern.
var pstoreFiles = []string{
	"var/lib/systemd/pstore/*/dmesg.txt",
	"var/lib/systemd/pstore/*/*/dmesg.txt",
	"var/lib/systemd/pstore/dmesg-*",
	"sys/fs/pstore/dmesg-*",
	"sys/fs/pstore/console-*",
}

// LastConsole is the end of what the machine said before it restarted: from pstore when a file
// there is younger than since, else from the journal of the boot before when that was a boot of
// slot, else nothing. A slot of "" asks pstore only.
func (m Machine) LastConsole(ctx context.Context, slot string, since time.Time) []string {
	if text := m.pstore(since); text != "" {
		return lastLines(text)
	}
	if slot == "" || !m.Running() {
		return nil // the journal is this machine's
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// The boot before is another one when the failed boot did not get as far as its journal.
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
	cmd.Wait() // its end was ours
	return found
}

// bootOf reads a kernel's log up to the line in which it prints its command line, and tells whether
// that is of the slot.
func bootOf(log io.Reader, slot string) bool {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if _, args, ok := strings.Cut(lines.Text(), "ommand line: "); ok {
			return slices.Contains(strings.Fields(args), ArgSlot+"="+slot)
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

// textEnd is as much of the end of a file as is read of one, "" when it cannot be read.
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
