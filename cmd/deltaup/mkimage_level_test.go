//go:build !target

package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

func TestParseTargetCPU(t *testing.T) {
	got, err := parseTargetCPU("4x0.25", time.Minute)
	if err != nil || got != (targetCPU{4, 0.25, time.Minute}) {
		t.Errorf("4x0.25: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "4", "x", "0x1", "4x0", "4x-1", "4xNaN", "4x101", "-1x1", "4x1x1", "99999x1", "4 x 1"} {
		if got, err := parseTargetCPU(bad, time.Minute); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	if _, err := parseTargetCPU("1x1", 0); err == nil {
		t.Error("no time is accepted")
	}
}

// TestChooseLevel: the smallest image within the time, the fastest level when none is, no level for
// next to nothing, and the one before where that is nearly as good.
func TestChooseLevel(t *testing.T) {
	costs := []levelCost{
		{"fastest", 1000, 1 * time.Second}, {"default", 900, 2 * time.Second},
		{"better", 800, 4 * time.Second}, {"best", 700, 40 * time.Second},
	}
	for _, c := range []struct {
		within float64 // seconds
		before string
		want   string
	}{
		{100, "", "best"}, {39, "", "better"}, {3, "", "default"}, {1, "", "fastest"}, {0.1, "", "fastest"},
		{39, "best", "best"}, {30, "best", "better"}, {41, "better", "better"}, {60, "better", "best"},
		{3.5, "better", "better"}, {39, "fastest", "better"},
	} {
		target := targetCPU{within: time.Duration(c.within * float64(time.Second))}
		before := ""
		if c.before != "" {
			var err error
			if before, err = mkimage.CodecFor(c.before); err != nil {
				t.Fatal(err)
			}
		}
		if got := costs[target.choose(costs, before)].level; got != c.want {
			t.Errorf("within %v s, %q before: %s, want %s", c.within, c.before, got, c.want)
		}
	}
	target := targetCPU{within: time.Minute}
	costs[3].image = 797
	if got := costs[target.choose(costs, "")].level; got != "better" {
		t.Errorf("for 0.4 %% less: %s", got)
	}
}

// contentSource has contents in memory.
type contentSource map[chunkstore.ID][]byte

func (s contentSource) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s[c.ID])), nil
}

// TestSampleContents samples a tree of one large content and many small ones, and one of too
// little.
func TestSampleContents(t *testing.T) {
	const block = 4096
	r := &mkimage.Recipe{BlockSize: block, Entries: mkimage.PackEntries(mkimage.Entry{Entry: tree.Entry{Attr: tree.Attr{Type: tree.Directory}}})}
	source := contentSource{}
	add := func(path string, p []byte) {
		c := &chunkstore.Content{ID: chunkstore.Sum(p), Size: int64(len(p))}
		c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: c.Size}}
		source[c.ID] = p
		r.Entries.Append(mkimage.Entry{Content: c,
			Entry: tree.Entry{Attr: tree.Attr{Type: tree.Regular}, Path: path, Size: c.Size}})
	}
	add("a", bytes.Repeat([]byte("tiny"), 10))
	if sample, plain, err := sampleContents(t.Context(), r, source); len(sample) > 0 || plain != 40 || err != nil {
		t.Errorf("40 bytes: %d, %d, %v", len(sample), plain, err)
	}
	large := bytes.Repeat([]byte("L"), 1<<20+5)
	add("b", large)
	for i := range 200 {
		add("c"+strings.Repeat("x", i), append(bytes.Repeat([]byte("s"), 1000), byte(i)))
	}
	sample, plain, err := sampleContents(t.Context(), r, source)
	if err != nil || plain != 40+1<<20+5+200*1001 {
		t.Fatalf("%d bytes, %v", plain, err)
	}
	ofLarge := bytes.Count(sample, []byte("L")) / block
	ofSmall := len(sample)/block - ofLarge
	if len(sample)%block != 0 || ofLarge < 40 || ofLarge > levelSamples || ofSmall < 3 || ofSmall > 12 {
		t.Errorf("%d blocks of the large content, %d of small ones", ofLarge, ofSmall)
	}
	target := targetCPU{processors: 2, speed: 0.5, within: time.Second}
	costs, err := target.measure(r, sample, plain)
	if err != nil || len(costs) != len(mkimage.Levels()) {
		t.Fatalf("%d levels, %v", len(costs), err)
	}
	for _, c := range costs {
		if c.update <= 0 || c.image <= 0 || c.image > plain/10 {
			t.Errorf("%+v", c)
		}
	}
}
