package xzutils

import (
	"bytes"
	"testing"
)

// FuzzEncode demands that every file decompresses to what went in, and that Find knows it again.
// The contents are short and the dictionaries small, since tables of hashes take long to clear: Find
// does that for each preset.
func FuzzEncode(f *testing.F) {
	all := settings()
	for _, b := range corpus() {
		for i := range all {
			f.Add(b[:min(len(b), 100+i)], byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte, choice byte) {
		if len(plain) > 1<<10 {
			return
		}
		p := all[int(choice)%len(all)].params
		p.lzma.dict = min(p.lzma.dict, 1<<16)
		file := encode(t, plain, p)
		back, err := Decompress(file, testLimits)
		if err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("%v: %d bytes came back, %d went in: %v", p, len(back), len(plain), err)
		}
		if found, ok := Find(file, plain, testLimits); ok &&
			!bytes.Equal(encode(t, plain, found), file) {
			t.Fatalf("%v gives another file than %v", found, p)
		}
	})
}

// FuzzFile demands that damaged files and parameters give errors within the limits.
func FuzzFile(f *testing.F) {
	limits := Limits{Content: 1 << 18, Memory: 4 << 20}
	for i, s := range settings() {
		p := s.params
		p.lzma.dict = min(p.lzma.dict, 1<<16)
		f.Add(encode(f, corpus()["code"][:500+i], p))
		f.Add(p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if p, rest, err := Parse(file); err == nil {
			if again := p.Append(nil); len(again)+len(rest) > len(file) {
				t.Fatalf("%v has %d bytes", p, len(again))
			}
			if p.Memory(int64(len(rest))) <= limits.Memory {
				encode(t, rest, p)
			}
		}
		Begin(file, 64, limits)
		plain, err := Decompress(file, limits)
		if err != nil {
			return
		}
		if int64(len(plain)) > limits.Content {
			t.Fatalf("%d bytes", len(plain))
		}
		if p, ok := Find(file, plain, limits); ok && !bytes.Equal(encode(t, plain, p), file) {
			t.Fatalf("%v gives another file", p)
		}
	})
}
