package apply_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/disktest"
	"deltaup/mkimage/squashfs"
)

// TestUnusableSeeds pulls with seeds that are of no use, beside a good one and alone: each is a
// warning that names it.
func TestUnusableSeeds(t *testing.T) {
	good := readFile(t, patchedWorld(t, 2, 1).image[0])
	change := func(at int, b byte) func([]byte) []byte {
		return func(p []byte) []byte { p[at] ^= b; return p }
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"missing":        nil,
		"empty":          func([]byte) []byte { return []byte{} },
		"text":           func([]byte) []byte { return []byte("not an image\n") },
		"cut off":        func(p []byte) []byte { return p[:len(p)/2] },
		"cut at once":    func(p []byte) []byte { return p[:50] },
		"lzo":            func(p []byte) []byte { p[20] = 3; return p },
		"bad superblock": change(14, 0xff),
		"bad root":       change(32, 0xff),
		"bad tables": func(p []byte) []byte {
			m, err := squashfs.Open(bytes.NewReader(p), int64(len(p)))
			if err != nil {
				t.Fatal(err)
			}
			copy(p[m.Info().Tables+10:], make([]byte, 200))
			return p
		},
	} {
		for _, beside := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/beside a good one %v", name, beside), func(t *testing.T) {
				t.Parallel()
				m := patched(t, 2, 1)
				bad := filepath.Join(t.TempDir(), "bad")
				if spoil != nil {
					if err := os.WriteFile(bad, spoil(bytes.Clone(good)), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if m.seeds = append([]string{bad}, m.seeds...); !beside {
					m.seeds = m.seeds[:1]
				}
				q, _ := m.mustPull()
				if len(m.warnings) != 1 || !strings.HasPrefix(m.warnings[0], "seed "+bad+" ") {
					t.Errorf("warnings %q, want one that names %s", m.warnings, bad)
				}
				if want := map[bool]string{true: "patch", false: "whole"}[beside]; q.Route != want {
					t.Errorf("route %s, want %s: %+v", q.Route, want, q.Alternatives)
				}
			})
		}
	}
}

// TestSeedDamagedInside: what can be read of a seed is used, whichever way the image comes.
func TestSeedDamagedInside(t *testing.T) {
	for _, route := range []delta.Route{"patch", "chunks", "blocks"} {
		t.Run(string(route), func(t *testing.T) {
			m := patched(t, 2, 1)
			b := readFile(t, m.w.image[0])
			copy(b[200<<10:], make([]byte, 64<<10)) // within the data
			damaged := filepath.Join(t.TempDir(), "damaged")
			if err := os.WriteFile(damaged, b, 0o600); err != nil {
				t.Fatal(err)
			}
			m.seeds = []string{damaged}
			m.with = func(r *apply.Request) {
				if r.Line, r.CPU = thin, steady; route != "patch" {
					r.Route = route
				}
			}
			if q, _ := m.mustPull(); q.Bytes >= q.ImageSize {
				t.Errorf("%d bytes for an image of %d", q.Bytes, q.ImageSize)
			}
		})
	}
}

// TestSeedBehindOffset: an image in a partition or behind an offset is as good a seed as one of its
// own file.
func TestSeedBehindOffset(t *testing.T) {
	for name, wrap := range map[string]func([]byte) []byte{
		"offset": func(p []byte) []byte { return append(make([]byte, 5000), p...) },
		"partition": func(p []byte) []byte {
			disk := make([]byte, 2<<20)
			disk[510], disk[511], disk[450], disk[455], disk[456] = 0x55, 0xaa, 0x83, 2048>>8, 0
			return append(append(disk[:1<<20], p...), disk[1<<20:]...)
		},
	} {
		for _, route := range []delta.Route{"", "blocks", "chunks"} {
			t.Run(fmt.Sprint(name, " ", route), func(t *testing.T) {
				m, plain := patched(t, 2, 1), patched(t, 2, 1)
				with := func(r *apply.Request) { r.Line, r.CPU, r.Route = thin, steady, route }
				m.with, plain.with = with, with
				seed := filepath.Join(t.TempDir(), "disk")
				if err := os.WriteFile(seed, wrap(readFile(t, m.w.image[0])), 0o600); err != nil {
					t.Fatal(err)
				}
				m.seeds = []string{seed}
				got, _ := m.mustPull()
				want, _ := plain.mustPull()
				if got.Route != want.Route || got.Bytes != want.Bytes || len(m.warnings) > 0 {
					t.Errorf("%s with %d bytes, warnings %q; the image alone takes %s with %d", got.Route, got.Bytes, m.warnings, want.Route, want.Bytes)
				}
				// The recipe was kept: another pull does not read the files.
				again := *m
				again.path += "2"
				again.mustPull()
			})
		}
	}
}

// TestSeedOfDisk: of a disk with several images the first is used, with a warning; a disk with
// other file systems is named.
func TestSeedOfDisk(t *testing.T) {
	m := patched(t, 2, 1)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	image := readFile(t, m.w.image[0])
	size := (len(image) + 1<<20) >> 20 << 20
	disk := make([]byte, 1<<20+2*size)
	copy(disk[1<<20:], image)
	copy(disk[1<<20+size:], image)
	seed := filepath.Join(t.TempDir(), "disk")
	pull := func(want string) {
		t.Helper()
		if err := os.WriteFile(seed, disk, 0o600); err != nil {
			t.Fatal(err)
		}
		m.path += "2"
		m.warnings, m.seeds = nil, []string{seed}
		m.mustPull()
		if len(m.warnings) != 1 || !strings.Contains(m.warnings[0], want) {
			t.Errorf("warnings %q, want %s", m.warnings, want)
		}
	}
	second := 1<<20 + size
	disktest.MBR(disk, 0x83, 2048, uint32(second/512))
	pull(fmt.Sprintf("seed %s has 2 squashfs images, in partition 1 at byte 1048576 and partition 2 at byte %d: the first is used", seed, second))
	clear(disk[1<<20:])
	copy(disk[second:], "XFSB")
	pull(fmt.Sprintf("seed %s is no squashfs image, it is a disk with partitions (MBR): partition 1 at byte 1048576 is nothing known, "+
		"partition 2 at byte %d is an XFS file system: it counts as one file", seed, second))
}

// TestSeedThatIsNoFile: what would make a pull wait for ever is refused at once.
func TestSeedThatIsNoFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/null", t.TempDir()} {
		m := patched(t, 2, 1)
		m.seeds = append(m.seeds, path)
		start := time.Now()
		_, _, err := m.pull()
		if !errors.Is(err, squashfs.ErrNoFile) || !strings.Contains(err.Error(), path) || time.Since(start) > 30*time.Second {
			t.Errorf("%s: %v after %v", path, err, time.Since(start))
		}
	}
}
