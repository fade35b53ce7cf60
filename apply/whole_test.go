package apply_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
)

// wholeFrom ignores ranges from the nth request on. Before, and with lying set always, answers say
// that there are ranges.
func wholeFrom(n int64, lying bool) faultserver.Fault {
	var requests atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if requests.Add(1) < n {
			next.ServeHTTP(w, r)
			return
		}
		if !lying {
			w = &silentWriter{w}
		}
		faultserver.NoRanges()(w, r, next)
	}
}

// silentWriter drops what a server says of ranges.
type silentWriter struct{ http.ResponseWriter }

func (s *silentWriter) WriteHeader(status int) {
	s.Header().Del("Accept-Ranges")
	s.ResponseWriter.WriteHeader(status)
}

// planMetadata is what a pull may spend beside the whole image: the pointer, the release, and a
// share for finding out.
func planMetadata(t *testing.T, m *target, q apply.Quote) int64 {
	t.Helper()
	n := q.ImageSize / 16
	for _, name := range []string{"channels/stable.json", "releases/2.json"} {
		n += int64(len(readFile(t, filepath.Join(m.w.mirror, filepath.FromSlash(name)))))
	}
	return n
}

// TestWholeFiles: on a server without ranges a quote is exact, and neither plan nor pull costs more
// than the whole image and its metadata, on whatever line and for whatever seed.
func TestWholeFiles(t *testing.T) {
	for _, lying := range []bool{false, true} {
		for _, line := range []delta.Line{thin, fast, {}} {
			for _, optimize := range []delta.Optimize{delta.ForTime, delta.ForBytes} {
				for _, seed := range []string{"own", "foreign", "none"} {
					t.Run(fmt.Sprint(lying, line, optimize, seed), func(t *testing.T) {
						t.Parallel()
						m := patched(t, 2, 1)
						m.server.Add(faultserver.Rule{Fault: wholeFrom(1, lying)})
						m.with = func(r *apply.Request) { r.Line, r.CPU, r.Optimize = line, steady, optimize }
						switch seed {
						case "none":
							m.seeds = nil
						case "foreign":
							m.seeds = []string{newWorld(t).image[0]}
						}
						q, r := m.mustPull()
						if !lying && !q.WholeFiles {
							t.Error("the quote does not tell of whole files")
						}
						// Of a server that lies it is found out on the way.
						if exact := r.BytesFetched == q.Bytes+q.MetaBytes && r.Requests == q.Requests+q.MetaRequests; !lying && !exact {
							t.Errorf("%d bytes in %d requests, quoted were %d+%d in %d+%d", r.BytesFetched, r.Requests, q.Bytes, q.MetaBytes, q.Requests, q.MetaRequests)
						}
						if most := q.ImageSize + planMetadata(t, m, q); r.BytesFetched > most {
							t.Errorf("%d bytes by %s, at most %d are expected", r.BytesFetched, r.Route, most)
						}
						if seed == "own" && (line == thin || optimize == delta.ForBytes) && r.BytesFetched > q.ImageSize/2 {
							t.Errorf("%d bytes by %s, a patch set has fewer", r.BytesFetched, r.Route)
						}
					})
				}
			}
		}
	}
}

// TestWholeFilesLater: whenever a server begins to ignore ranges, whichever way is gone and
// whatever other mirrors do, a pull takes no more than what it had fetched by then, and the whole
// image and its metadata.
func TestWholeFilesLater(t *testing.T) {
	worlds := []func() *target{
		func() *target { return patched(t, 2, 1) },
		func() *target { return patched(t, 4, 1) },
		func() *target { return newTarget(t) },
	}
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 14))
		m := worlds[rnd.IntN(len(worlds))]()
		from, lying := 1+rnd.Int64N(12), rnd.IntN(2) == 0
		whole := wholeFrom(from, lying)
		// bytes of answers with ranges, and of what comes whole whatever is asked
		var before atomic.Int64
		m.server.Add(faultserver.Rule{Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := httptest.NewRecorder()
			whole(rec, r, next)
			if rec.Code == http.StatusPartialContent {
				before.Add(int64(rec.Body.Len()))
			}
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		}})
		if rnd.IntN(3) == 0 { // a second mirror, without ranges or with them
			second := faultserver.New(t, serve.Handler(m.w.mirror))
			if rnd.IntN(2) == 0 {
				second.Add(faultserver.Rule{Fault: faultserver.NoRanges()})
			}
			m.urls = append(m.urls, second.URL)
			if rnd.IntN(2) == 0 {
				m.urls[0], m.urls[1] = m.urls[1], m.urls[0]
			}
		}
		if rnd.IntN(4) == 0 {
			m.seeds = nil
		}
		line := []delta.Line{thin, fast, {}}[rnd.IntN(3)]
		optimize := []delta.Optimize{delta.ForTime, delta.ForBytes}[rnd.IntN(2)]
		parallel := 1 + rnd.IntN(8)
		m.with = func(r *apply.Request) { r.Line, r.CPU, r.Optimize, r.Parallel = line, steady, optimize, parallel }
		q, r := m.mustPull()
		version := "2"
		if strings.Contains(m.w.image[1], "v4") {
			version = "4"
		}
		meta := int64(len(readFile(t, filepath.Join(m.w.mirror, "channels/stable.json"))) + len(readFile(t, filepath.Join(m.w.mirror, "releases", version+".json"))))
		if most := before.Load() + q.ImageSize + q.ImageSize/16 + meta; r.BytesFetched > most {
			t.Errorf("seed %d: from request %d on (lying %v) on %d mirrors by %s: %d bytes for an image of %d, at most %d are expected; warnings %q",
				seed, from, lying, len(m.urls), r.Route, r.BytesFetched, q.ImageSize, most, m.warnings)
		}
	}
}

// TestForeignSeedCostsLittle: what is fetched only to decide is little beside what it may save.
func TestForeignSeedCostsLittle(t *testing.T) {
	for _, optimize := range []delta.Optimize{delta.ForTime, delta.ForBytes} {
		m := patched(t, 2, 1)
		m.seeds = []string{newWorld(t).image[0]}
		m.with = func(r *apply.Request) { r.Line, r.CPU, r.Optimize = thin, steady, optimize }
		q, r := m.mustPull()
		checkExact(t, m, q, r)
		if most := q.ImageSize + planMetadata(t, m, q); r.BytesFetched > most {
			t.Errorf("%s: %d bytes, at most %d are expected: %+v", optimize, r.BytesFetched, most, q.Alternatives)
		}
	}
}
