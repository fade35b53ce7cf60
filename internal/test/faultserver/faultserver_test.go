package faultserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
)

var content = []byte(strings.Repeat("0123456789", 1000))

func files(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

type got struct {
	status int
	header http.Header
	body   []byte
	err    error // error of the body, or of the request when status is 0
}

func get(t *testing.T, url, ranged string) got {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranged != "" {
		req.Header.Set("Range", "bytes="+ranged)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return got{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return got{resp.StatusCode, resp.Header, body, err}
}

func TestFaults(t *testing.T) {
	flipped := bytes.Clone(content)
	flipped[5000] ^= 0xff
	for _, tt := range []struct {
		name   string
		fault  faultserver.Fault
		ranged string
		status int
		body   []byte
		err    error
		header string // "Key: value"
	}{
		{"none", nil, "10-19", 206, content[10:20], nil, "Content-Range: bytes 10-19/10000"},
		{"status", faultserver.Status(503, 7*time.Second), "", 503, []byte("Service Unavailable\n"), nil, "Retry-After: 7"},
		{"header", faultserver.Header("Content-Range", "x"), "10-19", 206, content[10:20], nil, "Content-Range: x"},
		{"no header", faultserver.Header("Content-Range", ""), "10-19", 206, content[10:20], nil, "Content-Range: "},
		{"long", faultserver.ContentLength(5), "10-19", 206, content[10:20], io.ErrUnexpectedEOF, "Content-Length: 15"},
		{"short", faultserver.ContentLength(-5), "10-19", 206, content[10:15], nil, "Content-Length: 5"},
		{"cut", faultserver.Cut(5), "10-19", 206, content[10:15], io.ErrUnexpectedEOF, "Content-Length: 10"},
		{"cut nothing", faultserver.Cut(0), "10-19", 206, nil, io.ErrUnexpectedEOF, ""},
		{"reset", faultserver.ResetConnection(0), "10-19", 206, nil, syscall.ECONNRESET, ""},
		{"stall", faultserver.Stall(5), "10-19", 206, content[10:15], context.DeadlineExceeded, ""},
		{"stall before the header", faultserver.Stall(-1), "", 0, nil, context.DeadlineExceeded, ""},
		{"slow", faultserver.Slow(10_000), "10-109", 206, content[10:110], nil, ""},
		{"flip", faultserver.Flip(5000), "4990-5009", 206, flipped[4990:5010], nil, "Content-Range: bytes 4990-5009/10000"},
		{"flip elsewhere", faultserver.Flip(5000), "10-19", 206, content[10:20], nil, ""},
		{"shorten", faultserver.Shorten(15), "10-19", 206, content[10:15], nil, "Content-Range: bytes 10-14/15"},
		{"shorten before", faultserver.Shorten(5), "10-19", 416, []byte("invalid range: failed to overlap\n"), nil, "Content-Range: bytes */5"},
		{"replace", faultserver.Replace([]byte("other")), "", 200, []byte("other"), nil, ""},
		{"no ranges", faultserver.NoRanges(), "10-19", 200, content, nil, ""},
		{"endless", faultserver.Endless(), "", 200, append(bytes.Clone(content), bytes.Repeat([]byte("endless "), 1<<17)...)[:1<<20], nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := faultserver.New(t, http.HandlerFunc(files))
			if tt.fault != nil {
				s.Add(faultserver.Rule{Fault: tt.fault})
			}
			g := get(t, s.URL+"/a", tt.ranged)
			if g.status != tt.status || !bytes.Equal(g.body, tt.body) || !errors.Is(g.err, tt.err) {
				t.Errorf("%d, %d bytes, %v; want %d, %d bytes, %v", g.status, len(g.body), g.err, tt.status, len(tt.body), tt.err)
			}
			if key, value, ok := strings.Cut(tt.header, ": "); ok && g.header.Get(key) != value {
				t.Errorf("header %v, want %s", g.header, tt.header)
			}
			if n := s.BodyBytes("a"); tt.name != "endless" && n != int64(len(tt.body)) {
				t.Errorf("counted %d bytes of body, want %d", n, len(tt.body))
			}
		})
	}
}

func TestRules(t *testing.T) {
	s := faultserver.New(t, http.HandlerFunc(files))
	s.Add(
		faultserver.Rule{Path: "packs/", Nth: 2, Fault: faultserver.Status(500, 0)},
		faultserver.Rule{Path: "*/*/x", Nth: 1, Fault: faultserver.Status(501, 0)},
		faultserver.Rule{Path: "b", Fault: faultserver.Status(502, 0)},
	)
	for i, step := range []struct {
		path   string
		status int
	}{{"packs/a/x", 501}, {"packs/a/y", 500}, {"packs/a/x", 200}, {"b", 502}, {"b", 502}, {"b/c", 200}, {"packs", 200}} {
		if g := get(t, s.URL+"/"+step.path, ""); g.status != step.status {
			t.Errorf("request %d for %s: %d, want %d", i, step.path, g.status, step.status)
		}
	}
	if a, b, all := s.Requests("packs/"), s.Requests("b"), s.Requests(""); a != 3 || b != 2 || all != 7 {
		t.Errorf("%d, %d, %d requests", a, b, all)
	}
	if body, wire := s.BodyBytes(""), s.WireBytes(); body < 30_000 || wire < body+7*50 || wire > body+7*500 {
		t.Errorf("%d bytes of bodies, %d on the wire", body, wire)
	}
	s.Clear()
	s.Reset()
	if g := get(t, s.URL+"/b", ""); g.status != 200 || s.Requests("") != 1 || s.BodyBytes("") != 10_000 {
		t.Errorf("%d after Clear, log %v", g.status, fmt.Sprint(s.Log()))
	}
}
