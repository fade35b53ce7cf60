// Package merge merges two versions of a file that both come from a third, their base. Where one
// version is the base, the other one is the result, whatever the files are.
package merge

import (
	"bytes"
	"slices"
)

// maxLines is the largest number of lines that Lines merges.
const maxLines = 100_000

// unchanged gives the result when at most one side has changed something.
func unchanged(base, local, image []byte) ([]byte, bool) {
	switch {
	case bytes.Equal(local, image), bytes.Equal(base, image):
		return local, true
	case bytes.Equal(base, local):
		return image, true
	}
	return nil, false
}

// Lines merges text line by line, as diff3 does (Khanna, Kunal, Pierce: A Formal Investigation of
// Diff3). It fails when both sides changed the same lines, or lines next to each other, in
// different ways, and when a version is not text (it has a zero byte) or has more than maxLines
// lines. It also fails when the result depends on which of several equal lines are taken for the
// changed ones, and when the versions differ so much that to compare them would take seconds.
//
// The same change on both sides is no conflict. A last line without an end is another line than
// one with it.
func Lines(base, local, image []byte) (merged []byte, ok bool) {
	if merged, ok := unchanged(base, local, image); ok {
		return merged, true
	}
	ids := map[string]int32{}
	var texts [3]text
	for i, version := range [][]byte{base, local, image} {
		if bytes.IndexByte(version, 0) >= 0 || bytes.Count(version, []byte("\n")) > maxLines {
			return nil, false
		}
		texts[i] = read(version, ids)
	}
	lines, ok := merge3(texts, likeDiff3)
	if !ok {
		return nil, false
	}
	// Of edits of one length, and of equal lines in a run, others may be taken: the other way round,
	// and from the end.
	again, ok := merge3(texts, diff)
	if !ok || !slices.EqualFunc(lines, again, bytes.Equal) {
		return nil, false
	}
	for i := range texts {
		slices.Reverse(texts[i].ids)
		slices.Reverse(texts[i].lines)
	}
	for _, compare := range []comparison{likeDiff3, diff} {
		again, ok := merge3(texts, compare)
		slices.Reverse(again)
		if !ok || !slices.EqualFunc(lines, again, bytes.Equal) {
			return nil, false
		}
	}
	return bytes.Join(lines, nil), true
}

// comparison gives the hunks that lead from a to b.
type comparison func(a, b []int32) ([]hunk, bool)

// likeDiff3 compares as diff3 does, which looks for the edit that leads back to the base.
func likeDiff3(base, version []int32) ([]hunk, bool) {
	hunks, ok := diff(version, base)
	for i, h := range hunks {
		hunks[i] = hunk{h.b0, h.b1, h.a0, h.a1}
	}
	return hunks, ok
}

// text is a version as lines, and as a number for each line.
type text struct {
	lines [][]byte
	ids   []int32
}

func read(version []byte, ids map[string]int32) text {
	var t text
	for line := range bytes.Lines(version) {
		id, ok := ids[string(line)]
		if !ok {
			id = int32(len(ids))
			ids[string(line)] = id
		}
		t.lines, t.ids = append(t.lines, line), append(t.ids, id)
	}
	return t
}

// merge3 merges base, local and image by their hunks.
func merge3(texts [3]text, compare comparison) (merged [][]byte, ok bool) {
	base := texts[0]
	var hunks [2][]hunk
	for side := range hunks {
		if hunks[side], ok = compare(base.ids, texts[side+1].ids); !ok {
			return nil, false
		}
	}
	at := 0 // in base
	for len(hunks[0])+len(hunks[1]) > 0 {
		block := nextBlock(&hunks)
		merged = append(merged, base.lines[at:block.from]...)
		at = block.to
		var versions [2]text
		for side, h := range block.hunks {
			if len(h) == 0 {
				continue
			}
			last := h[len(h)-1]
			from, to := h[0].b0-(h[0].a0-block.from), last.b1+(block.to-last.a1)
			t := texts[side+1]
			versions[side] = text{t.lines[from:to], t.ids[from:to]}
		}
		switch {
		case len(block.hunks[1]) == 0:
			merged = append(merged, versions[0].lines...)
		case len(block.hunks[0]) == 0, slices.Equal(versions[0].ids, versions[1].ids):
			merged = append(merged, versions[1].lines...)
		default:
			return nil, false
		}
	}
	return append(merged, base.lines[at:]...), true
}

// block is a part of the base with all hunks of both sides that overlap there or touch.
type block struct {
	from, to int
	hunks    [2][]hunk
}

// nextBlock takes the first block.
func nextBlock(hunks *[2][]hunk) block {
	first := 0
	if len(hunks[0]) == 0 || len(hunks[1]) > 0 && hunks[1][0].a0 < hunks[0][0].a0 {
		first = 1
	}
	b := block{from: hunks[first][0].a0, to: hunks[first][0].a1}
	for more := true; more; {
		more = false
		for side := range hunks {
			for len(hunks[side]) > 0 && hunks[side][0].a0 <= b.to {
				h := hunks[side][0]
				hunks[side], b.hunks[side] = hunks[side][1:], append(b.hunks[side], h)
				b.to = max(b.to, h.a1)
				more = true
			}
		}
	}
	return b
}
