package main

import "testing"

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"what is new":            "what is new",
		"one\ntwo\r\n\tthree":    "one two three",
		"\x1b[2Jcleared\x07":     "[2Jcleared",
		"umlaut ä, \u202eback":   "umlaut ä,  back",
		"not UTF-8 \xff\xfe end": "not UTF-8 \ufffd end",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}
