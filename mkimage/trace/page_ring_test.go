package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// update makes the golden files anew with the running kernel, as root:
//
//	go test ./mkimage/trace -run GoldenPages -update
var update = flag.Bool("update", false, "write the golden files anew")

const (
	goldenFormat = "testdata/pages.format" // format of the tracepoint, Linux 6.18 on amd64
	// what the kernel wrote into an empty ring while files were read
	goldenRing = "testdata/pages.ring"
)

// capture writes the golden files.
func capture(t *testing.T) {
	image := makeImage(t, map[string]int{"large": 1 << 20, "medium": 250_000, "small": 100}, true)
	root := overlay(t, image)
	needTracefs(t)
	p := startRings(t, image)
	use(t, root, "taskset -c 0 sh -ec 'cat small medium >/dev/null; dd if=large of=/dev/null bs=4096 count=1 skip=100 2>/dev/null'")
	r := p.rings[0]
	if err := r.enable(false); err != nil {
		t.Fatal(err)
	}
	tracing, err := tracefs()
	if err != nil {
		t.Fatal(err)
	}
	format, err := os.ReadFile(tracing + "/" + pageEvent + "/format")
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{goldenFormat: format, goldenRing: r.data[:r.meta.Data_head]} {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// startRings records the pages of a mounted image without a reader of the rings.
func startRings(t *testing.T, image string) *pages {
	t.Helper()
	device, image, err := mountedImage(image)
	if err != nil {
		t.Fatal(err)
	}
	p := &pages{files: make(map[uint64]*File)}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.open(device, image); err != nil {
		t.Fatal(err)
	}
	return p
}

// golden reads the golden files. It puts the ring's bytes at the start of a ring.
func golden(t testing.TB) (format string, ring []byte, head uint64) {
	t.Helper()
	text, err := os.ReadFile(goldenFormat)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(goldenRing)
	if err != nil {
		t.Fatal(err)
	}
	ring = make([]byte, 64<<10)
	return string(text), ring, uint64(copy(ring, data))
}

// taken gives what pages records of a ring.
func taken(t testing.TB, format string, ring []byte, tail, head uint64) *pages {
	t.Helper()
	p := &pages{files: make(map[uint64]*File)}
	var err error
	if p.format, err = parsePageFormat(format, 4096); err != nil {
		t.Fatal(err)
	}
	if err := records(ring, tail, head, func(kind uint32, body []byte) { p.record(kind, body, 0) }); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGoldenPages(t *testing.T) {
	if *update {
		capture(t)
	}
	format, ring, head := golden(t)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the golden files are of a little-endian kernel")
	}
	p := taken(t, format, ring, 0, head)
	at := []time.Duration{p.files[3].First, p.files[2].First, p.files[1].First}
	ranges := map[uint64][]byteRange{}
	for inode, f := range p.files {
		ranges[inode] = f.ranges
	}
	// small and medium to their ends and past them, a page of large and the page behind it
	want := map[uint64][]byteRange{3: {{0, 8192}}, 2: {{0, 258048}}, 1: {{409600, 8192}}}
	if !reflect.DeepEqual(ranges, want) || !slices.IsSorted(at) || at[0] < time.Hour || p.lost != 0 {
		t.Errorf("%v at %v, %d lost", ranges, at, p.lost)
	}
}

// FuzzPages reads hostile rings with hostile formats. No page may lie outside of what a file can
// be, and it must make no difference where in the ring the records lie.
func FuzzPages(f *testing.F) {
	text, ring, head := golden(f)
	f.Add(text, ring[:head], uint16(0), uint16(head))
	f.Add(text, ring[:1024], uint16(8), uint16(2048))
	f.Add(pageFormat32, slices.Concat([]byte{9, 0, 0, 0, 0, 0, 48, 0}, sampleOf(1, 2, 3)), uint16(8192-24), uint16(48))
	f.Fuzz(func(t *testing.T, text string, data []byte, start, length uint16) {
		format, err := parsePageFormat(text, 4096)
		if err != nil {
			return
		}
		const size = 8192
		var got [2]*pages
		var errs [2]error
		for i, tail := range []uint64{0, uint64(start) &^ 7} {
			ring := make([]byte, size)
			for j, b := range data[:min(len(data), size)] {
				ring[(tail+uint64(j))%size] = b
			}
			p := &pages{format: format, files: make(map[uint64]*File)}
			errs[i] = records(ring, tail, tail+uint64(length), func(kind uint32, body []byte) { p.record(kind, body, 0) })
			got[i] = p
		}
		if (errs[0] == nil) != (errs[1] == nil) || !reflect.DeepEqual(got[0], got[1]) {
			t.Fatalf("%v and %v: %+v and %+v", errs[0], errs[1], got[0], got[1])
		}
		for _, file := range got[0].files {
			for _, r := range file.ranges {
				if r.offset < 0 || r.length <= 0 || r.offset >= maxOffset || r.end() > maxOffset+1<<28 {
					t.Fatalf("range %v", r)
				}
			}
			if file.First < 0 || file.First >= maxTime {
				t.Fatalf("at %v", file.First)
			}
		}
	})
}

func TestRecords(t *testing.T) {
	record := func(kind uint32, body string) []byte {
		b := binary.NativeEndian.AppendUint32(nil, kind)
		b = binary.NativeEndian.AppendUint16(b, 0)
		b = binary.NativeEndian.AppendUint16(b, uint16(8+len(body)))
		return append(b, body...)
	}
	all := slices.Concat(record(9, "one-----"), record(2, strings.Repeat("lost", 4)), record(9, ""), record(9, "four----"))
	for shift := uint64(0); shift < 128; shift += 8 {
		ring := make([]byte, 64)
		tail := ^uint64(127) + shift // a kernel's counters may wrap around
		for i, b := range all[:64] {
			ring[(tail+uint64(i))%64] = b
		}
		var got []string
		err := records(ring, tail, tail+64, func(kind uint32, body []byte) { got = append(got, string(rune('0'+kind))+string(body)) })
		if want := []string{"9one-----", "2lostlostlostlost", "9", "9four----"}; err != nil || !slices.Equal(got, want) {
			t.Fatalf("from %#x: %q, %v", tail, got, err)
		}
	}
	for name, c := range map[string]struct {
		ring []byte
		head uint64
	}{
		"more than the ring": {make([]byte, 64), 72},
		"no size":            {make([]byte, 64), 64},
		"cut off header":     {slices.Concat(record(9, "12345678"), make([]byte, 48)), 20},
		"behind the head":    {slices.Concat(record(9, "12345678"), make([]byte, 48)), 8},
		"odd size":           {slices.Concat(record(9, strings.Repeat("x", 50)), make([]byte, 6)), 64},
	} {
		if err := records(c.ring, 0, c.head, func(uint32, []byte) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

const pageFormat32 = `name: mm_filemap_add_to_page_cache
ID: 77
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long pfn;	offset:8;	size:4;	signed:0;
	field:unsigned long i_ino;	offset:12;	size:4;	signed:0;
	field:unsigned long index;	offset:16;	size:4;	signed:0;
	field:dev_t s_dev;	offset:20;	size:4;	signed:0;

print fmt: "dev %d:%d", REC->s_dev
`

func TestPageFormat(t *testing.T) {
	text, _, _ := golden(t)
	for want, text := range map[pageFormat]string{
		{600, pageField{16, 8}, pageField{24, 8}, pageField{36, 1}, 4096}: text,
		{77, pageField{12, 4}, pageField{16, 4}, pageField{}, 4096}:       pageFormat32,
	} {
		if got, err := parsePageFormat(text, 4096); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for _, edit := range [][2]string{
		{"ID: 77", "ID: x"}, {"ID: 77", "ID: 0"}, {"i_ino", "ino"}, {" index", " offset"}, {"offset:12;", "offset:x;"}, {"offset:16;", "offset:4096;"},
		{"size:4;	signed:0;", "size:3;	signed:0;"}, {"size:4;", "size:16;"}, {"size:4;", "size:0;"},
	} {
		if got, err := parsePageFormat(strings.ReplaceAll(pageFormat32, edit[0], edit[1]), 4096); err == nil {
			t.Errorf("%q for %q was taken: %+v", edit[1], edit[0], got)
		}
	}
}

// sampleOf is the body of a sample in pageFormat32.
func sampleOf(at uint64, inode, index uint32) []byte {
	b := binary.NativeEndian.AppendUint64(nil, at)
	b = binary.NativeEndian.AppendUint32(b, 28)
	b = append(b, make([]byte, 12)...)
	b = binary.NativeEndian.AppendUint32(b, inode)
	b = binary.NativeEndian.AppendUint32(b, index)
	return append(b, make([]byte, 8)...)
}

func TestPages(t *testing.T) {
	format, err := parsePageFormat(pageFormat32, 4096)
	if err != nil {
		t.Fatal(err)
	}
	p := &pages{format: format, files: make(map[uint64]*File)}
	sample := func(at uint64, inode, index uint32) {
		p.record(unix.PERF_RECORD_SAMPLE, sampleOf(at, inode, index), time.Hour)
	}
	sample(2_500_000_999, 0x2e, 0)
	sample(2_600_000_000, 0x2e, 1)
	sample(2_700_000_000, 7, 2)
	sample(2_400_000_000, 0x2e, 2) // from another processor's ring
	sample(2_400_000_000, 0x2e, 9)
	p.record(unix.PERF_RECORD_LOST, make([]byte, 16), 0) // ring.lost counts it
	want := map[uint64]*File{
		0x2e: {First: time.Hour + 2400*time.Millisecond, ranges: []byteRange{{0, 3 * 4096}, {9 * 4096, 4096}}},
		7:    {First: time.Hour + 2700*time.Millisecond, ranges: []byteRange{{2 * 4096, 4096}}},
	}
	if !reflect.DeepEqual(p.files, want) || p.lost != 0 || p.ranges != 3 {
		t.Errorf("%d lost, %d ranges, files %v", p.lost, p.ranges, p.files)
	}
	good := sampleOf(1, 2, 3)
	large := bytes.Clone(good)
	large[8]++
	p.record(unix.PERF_RECORD_SAMPLE, nil, 0)
	p.record(unix.PERF_RECORD_SAMPLE, good[:11], 0)
	p.record(unix.PERF_RECORD_SAMPLE, good[:30], 0)
	p.record(unix.PERF_RECORD_SAMPLE, large, 0)
	p.record(unix.PERF_RECORD_SAMPLE, sampleOf(1<<59, 2, 3), 0)
	p.record(unix.PERF_RECORD_THROTTLE, make([]byte, 24), 0)
	if p.lost != 6 || len(p.files) != 2 {
		t.Errorf("%d lost, want 6; files %v", p.lost, p.files)
	}
	p.ranges = maxPageRanges
	sample(1, 7, 3) // continues the last range
	sample(1, 7, 5)
	if p.lost != 7 {
		t.Errorf("%d lost, want 7", p.lost)
	}
	if got := clip([]byteRange{{0, 4096}, {8192, 4096}}, 5000); !slices.Equal(got, []byteRange{{0, 4096}}) {
		t.Errorf("clipped to %v", got)
	}
}

// TestRingLost has the kernel write more events than a ring holds, while nobody reads it.
func TestRingLost(t *testing.T) {
	image := makeImage(t, map[string]int{"large": 1 << 20, "small": 100}, true)
	root := overlay(t, image)
	needTracefs(t)
	device, _, err := mountedImage(image)
	if err != nil {
		t.Fatal(err)
	}
	format, err := readPageFormat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRing(format.id, 0, os.Getpagesize(), fmt.Sprintf("s_dev == %d", device))
	if errors.Is(err, errPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.enable(true); err != nil {
		t.Fatal(err)
	}
	samples := int64(0)
	drain := func() {
		t.Helper()
		if err := r.drain(func(kind uint32, _ []byte) {
			if kind == unix.PERF_RECORD_SAMPLE {
				samples++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	use(t, root, "taskset -c 0 cat large >/dev/null")
	drain()
	fit := samples
	// now there is room for the record of lost events
	use(t, root, "taskset -c 0 cat small >/dev/null")
	if err := r.enable(false); err != nil {
		t.Fatal(err)
	}
	drain()
	lost, err := r.lost()
	if err != nil {
		t.Fatal(err)
	}
	if pages := int64(1 << 20 / os.Getpagesize()); fit == 0 || lost == 0 || samples == fit || samples+lost < pages {
		t.Errorf("%d samples in a full ring, %d in all, %d lost, of at least %d pages", fit, samples, lost, pages)
	}
	if r.told != lost {
		t.Errorf("records tell of %d lost events, the counter of %d", r.told, lost)
	}
	r.counts = false
	if lost, err := r.lost(); lost != r.told || err != nil {
		t.Errorf("without the counter %d lost, %v", lost, err)
	}
}

func TestCPUs(t *testing.T) {
	for list, want := range map[string][]int{"0": {0}, "0-3": {0, 1, 2, 3}, "0,2-3,16383": {0, 2, 3, 16383}} {
		if got, err := parseCPUs(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"", "x", "0-", "-1", "3-2", "0,", "0-16384", "65536"} {
		if got, err := parseCPUs(list); err == nil {
			t.Errorf("%q gave %v", list, got)
		}
	}
	for rings, want := range map[int]int{0: 1 << 20, 1: 1 << 20, 16: 1 << 20, 17: 512 << 10, 64: 256 << 10, 256: 64 << 10, 5000: 64 << 10} {
		if got := ringSize(rings); got != want {
			t.Errorf("%d rings of %d bytes, want %d", rings, got, want)
		}
	}
}
