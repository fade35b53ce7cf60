package apply_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/apply/madeblocks"
	"deltaup/chunkstore"
	"deltaup/internal/test/faultserver"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// madeFile gives the path of the blocks that were made for a target's slot.
func madeFile(t *testing.T, m *target) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.state, "*", "made"))
	if err != nil || len(files) > 1 {
		t.Fatalf("%q (%v)", files, err)
	}
	if len(files) == 0 {
		return ""
	}
	return files[0]
}

// bootSize is the size of a boot's id in the file of made blocks, in front of the records.
const bootSize = 16

// otherBoot has another boot written a file of made blocks.
func otherBoot(b []byte) {
	at := 8 + 32 + 4
	clear(b[at+1+int(b[at]):][:bootSize])
}

// madeRecords lists the blocks in the file, by stretch and number, and demands that none is there
// twice. A block that is cut off counts as none.
func madeRecords(t *testing.T, m *target) (n int) {
	t.Helper()
	path := madeFile(t, m)
	if path == "" {
		return 0
	}
	b := readFile(t, path)
	at := 8 + 32 + 4
	if len(b) <= at {
		return 0
	}
	at += 1 + int(b[at]) + bootSize
	seen := map[string]bool{}
	for at+48 <= len(b) {
		size := int(binary.LittleEndian.Uint32(b[at:]) &^ (1 << 31))
		key := string(b[at+4 : at+40])
		if at += 48 + size; at > len(b) {
			break
		}
		if seen[key] {
			t.Fatal("a block was made twice")
		}
		seen[key] = true
		n++
	}
	return n
}

// makes has the target go by a route that makes blocks, with one request at a time.
func makes(t *testing.T, route string) *target {
	m := patched(t, 2, 1)
	if route == "chunks" {
		m = newTarget(t)
	}
	with := m.with
	m.with = func(r *apply.Request) {
		if with != nil {
			with(r)
		}
		r.Route, r.Parallel, r.Line, r.CPU = "chunks", 1, thin, steady
		if route == "patch" {
			r.Route = "patch"
		}
	}
	return m
}

// TestMakesBeside: while a mirror brings no more, blocks are made of what has come. The slot keeps
// what it holds, and the next pull neither fetches nor makes anything twice.
func TestMakesBeside(t *testing.T) {
	m := makes(t, "chunks")
	old := noise(5, 1<<20)
	if err := os.WriteFile(m.path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	m.server.Add(
		faultserver.Rule{Path: "packs/", Nth: 2, Fault: faultserver.Stall(200 << 10)},
		faultserver.Rule{Path: "packs/", Nth: 3, Fault: faultserver.Stall(0)},
		faultserver.Rule{Path: "packs/", Nth: 4, Fault: faultserver.Stall(0)},
		faultserver.Rule{Path: "packs/", Nth: 5, Fault: faultserver.Stall(0)},
		faultserver.Rule{Path: "packs/", Nth: 6, Fault: faultserver.Stall(0)})
	q, _, err := m.pull()
	if err == nil {
		t.Fatal("the mirror was not silent")
	}
	n := madeRecords(t, m)
	if n == 0 {
		t.Error("nothing was made")
	}
	if got := readFile(t, m.path); !bytes.Equal(got, old) {
		t.Error("the slot has changed")
	}
	came := m.server.BodyBytes("packs/")
	m.server.Clear()
	m.server.Reset()
	q2, r := m.mustPull()
	if sent := m.server.BodyBytes("packs/"); sent != q2.Bytes || came+sent > q.Bytes+1000 {
		t.Errorf("%d bytes of %d came, then %d were quoted and %d sent", came, q.Bytes, q2.Bytes, sent)
	}
	if r.BlocksCompressed <= n || madeFile(t, m) != "" {
		t.Errorf("%d blocks compressed, %d of them before; left in the state folder: %q", r.BlocksCompressed, n,
			madeFile(t, m))
	}
}

// TestMakingKilled ends pulls at many moments. No byte comes twice, no block is made twice, and the
// slot is given up only when everything is there.
func TestMakingKilled(t *testing.T) {
	for _, route := range []string{"chunks", "patch"} {
		t.Run(route, func(t *testing.T) {
			m := makes(t, route)
			old := noise(5, 1<<20)
			if err := os.WriteFile(m.path, old, 0o644); err != nil {
				t.Fatal(err)
			}
			with := m.with
			need, came, most := int64(0), int64(0), 0
			for run := 0; ; run++ {
				ctx, cancel := context.WithCancel(t.Context())
				var events atomic.Int64
				var written atomic.Bool
				m.with = func(r *apply.Request) {
					with(r)
					tell := r.Events
					r.Events = func(e apply.Event) {
						tell(e)
						written.Store(written.Load() || e.Stage == apply.StageRebuild && e.Done > 0)
						// later in each run, until it gets through
						if e.Stage != apply.StageSeed && events.Add(1) == int64(1+run*3) {
							cancel()
						}
					}
				}
				m.server.Reset()
				u, done, err := m.start()
				if err != nil {
					t.Fatal(err)
				}
				q := u.Quote()
				if run == 0 {
					need = q.Bytes
				} else if q.Bytes != need-came {
					t.Fatalf("run %d: %d bytes are wanted of %d, after %d had come", run, q.Bytes, need, came)
				}
				before := cached(t, m)
				result, err := u.Run(ctx)
				done()
				cancel()
				if err == nil {
					if result.BlocksCompressed == 0 || most == 0 {
						t.Errorf("%d blocks compressed, at most %d before the last run", result.BlocksCompressed, most)
					}
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if got := readFile(t, m.path); !written.Load() && !bytes.Equal(got, old) {
					t.Fatalf("run %d: the slot has changed", run)
				} else if written.Load() {
					m.checkUnbootable()
					if old = got; madeFile(t, m) == "" {
						t.Fatal("what was made is gone before the image was there")
					}
				}
				n := madeRecords(t, m)
				if n < most {
					t.Fatalf("run %d: %d blocks are left of %d", run, n, most)
				}
				most = n
				came += cached(t, m) - before
			}
			m.checkSlot(m.w.image[1])
		})
	}
}

// cached is how many bytes of the mirror's files are in a target's state folder.
func cached(t *testing.T, m *target) (n int64) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestMadeAlready: what an earlier pull has made is only copied, whatever then becomes of the slot.
func TestMadeAlready(t *testing.T) {
	for _, route := range []string{"chunks", "patch"} {
		t.Run(route, func(t *testing.T) {
			m := makes(t, route)
			interrupted(t, m)
			n := madeRecords(t, m)
			var fetched, made atomic.Int64
			with := m.with
			m.with = func(r *apply.Request) {
				with(r)
				r.CPU.Compress, r.CPU.Patch, r.CPU.Decode = 1e4, 1e4, 1e12
			}
			u, done, err := m.start()
			if err != nil {
				t.Fatal(err)
			}
			if left := u.Quote().Time; left > 5*time.Second {
				t.Errorf("what is made is quoted with %v", left)
			}
			done()
			m.with = func(r *apply.Request) {
				with(r)
				r.Events = func(e apply.Event) {
					switch e.Stage {
					case apply.StageFetch:
						fetched.Add(1)
					case apply.StageMake:
						made.Add(1)
					}
				}
			}
			_, r := m.mustPull()
			if n == 0 || r.BlocksCompressed < n-2 || r.BlocksCompressed > n || fetched.Load()+made.Load() > 0 {
				t.Errorf("%d blocks were made, %d were taken; then %d events of fetching, %d of making", n,
					r.BlocksCompressed, fetched.Load(), made.Load())
			}
		})
	}
}

// TestMadeWrong: blocks that are damaged after a power cut are made again. Those that are wrong
// though their checksum is right show in the image, and all are made again.
func TestMadeWrong(t *testing.T) {
	for _, route := range []string{"chunks", "patch"} {
		t.Run(route, func(t *testing.T) {
			m := makes(t, route)
			interrupted(t, m)
			path := madeFile(t, m)
			good := readFile(t, path)
			for i := range 4 {
				b := bytes.Clone(good)
				b[len(b)*(2*i+1)/8] ^= 1
				otherBoot(b)
				if err := os.WriteFile(path, b, 0o644); err != nil {
					t.Fatal(err)
				}
				interrupted(t, m)
				if n := madeRecords(t, m); n == 0 || len(m.warnings) > 0 {
					t.Errorf("a damaged byte: %d blocks (%q)", n, m.warnings)
				}
			}
			d := derived(t, m.w.image[1])
			s, err := madeblocks.Open(path, madeblocks.Image{
				ID: chunkstore.Sum(readFile(t, m.w.image[1])), Codec: d.Recipe.Codec, BlockSize: d.Recipe.BlockSize,
			})
			if err != nil {
				t.Fatal(err)
			}
			wrong := 0
			for _, x := range d.Recipe.Layout() {
				if stored, _, ok := s.Get(x.Key(), 0, nil); ok && len(stored) > 1 {
					if err := s.Put(x.Key(), 0, stored[1:], true); err != nil {
						t.Fatal(err)
					}
					wrong++
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_, r := m.mustPull()
			all := strings.Join(m.warnings, "; ")
			if wrong == 0 && route == "chunks" || wrong > 0 && !strings.Contains(all, "making its blocks once more") || r.Route != route {
				t.Errorf("%d wrong blocks: route %s, warnings %q", wrong, r.Route, m.warnings)
			}
		})
	}
}

func derived(t *testing.T, image string) *mkimage.Derived {
	t.Helper()
	m, err := squashfs.OpenFile(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	d, err := mkimage.Derive(t.Context(), m.Image, chunkstore.Params{}, mkimage.DeriveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNoRoomForMade: a pull whose state folder has little room makes what has room beside fetching,
// or nothing, and the rest afterwards.
func TestNoRoomForMade(t *testing.T) {
	m := makes(t, "chunks")
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	bytes := u.Quote().Bytes
	done()
	for _, room := range []int64{0, 300 << 10} {
		m := makes(t, "chunks")
		restore := apply.SetMadeRoom(bytes + room)
		q, r := m.mustPull()
		restore()
		if r.BytesFetched != q.Bytes+q.MetaBytes || r.BlocksCompressed == 0 {
			t.Errorf("room for %d bytes: %d fetched, %d blocks compressed", room, r.BytesFetched, r.BlocksCompressed)
		}
		if full := strings.Contains(strings.Join(m.warnings, "; "), "no room for more blocks"); full != (room > 0) {
			t.Errorf("room for %d bytes: warnings %q", room, m.warnings)
		}
	}
}

// TestMadeTimes: an offer of a route that makes blocks beside fetching takes as long as the longer
// of the two.
func TestMadeTimes(t *testing.T) {
	m := makes(t, "chunks")
	slow := m.with
	for name, rate := range map[string]float64{"line": 20e3, "machine": 1e9} {
		m.with = func(r *apply.Request) {
			slow(r)
			r.Line.Rate, r.Line.RTT = rate, time.Microsecond
			r.CPU.Compress, r.CPU.Decode, r.CPU.Write = 1e5, 1e12, 1e12
		}
		u, done, err := m.start()
		if err != nil {
			t.Fatal(err)
		}
		q := u.Quote()
		done()
		line := time.Duration(float64(q.Bytes) / rate * float64(time.Second))
		if rest := q.Time - line; name == "line" && (rest < 0 || rest > line/2) || name == "machine" && q.Time < 10*line {
			t.Errorf("the %s is slow: %v, of which the line takes %v", name, q.Time, line)
		}
	}
}

// TestMadeThenNext: a pull that was cut off, and of which the next one only copied what was made,
// leaves a seed that the pull after it knows.
func TestMadeThenNext(t *testing.T) {
	m := patched(t, 3, 1)
	with := m.with
	m.with = func(r *apply.Request) { with(r); r.Channel, r.Version, r.Route = "", "2", "patch" }
	interrupted(t, m)
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	slot := readFile(t, m.path)
	m.seeds = []string{m.path}
	m.path += "-other"
	m.with = func(r *apply.Request) { with(r); r.Route = "patch" }
	var read atomic.Int64
	before := m.with
	m.with = func(r *apply.Request) {
		before(r)
		tell := r.Events
		r.Events = func(e apply.Event) {
			tell(e)
			if e.Stage == apply.StageSeed {
				read.Store(e.Done)
			}
		}
	}
	if _, r := m.mustPull(); r.Route != "patch" || len(m.warnings) > 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
	t.Logf("%d bytes of a seed of %d were read", read.Load(), len(slot))
}

// arriving is a system whose set has several groups in one run.
func arriving(version int) map[string][]byte {
	files := map[string][]byte{"etc/same": noise(1, 60<<10)}
	for i := range 10 {
		content := noise(uint64(20+i), 100<<10)
		change := noise(uint64(40+i), 100<<10)
		for k := 0; version == 2 && k < len(content); k += 2 + int(change[k]%4) {
			content[k] += 1 + change[k]%3
		}
		files[fmt.Sprintf("usr/lib/%02d", i)] = content
	}
	return files
}

// TestMakesAsGroupsArrive: of a set with several groups most is made when the last byte has come.
func TestMakesAsGroupsArrive(t *testing.T) {
	m := newTargetOf(t, worldOf(t, "arriving", arriving, 2, 1))
	m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Slow(100 << 10)})
	var made, total, atEnd atomic.Int64
	m.with = func(r *apply.Request) {
		r.Route, r.Line, r.CPU = "patch", thin, steady
		r.Events = func(e apply.Event) {
			switch {
			case e.Stage == apply.StageMake:
				made.Store(e.Done)
				total.Store(e.Total)
			case e.Stage == apply.StageFetch && e.Done == e.Total:
				atEnd.Store(made.Load())
			}
		}
	}
	q, r := m.mustPull()
	if r.BytesFetched != q.Bytes+q.MetaBytes || made.Load() != total.Load() || atEnd.Load() < total.Load()/3 {
		t.Errorf("%d of %d bytes were made when all had come, %d in the end", atEnd.Load(), total.Load(), made.Load())
	}
	t.Logf("%d of %d bytes were made when %d had come", atEnd.Load(), total.Load(), q.Bytes)
}
