package faultserver

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Fault answers a request wrongly. next answers it correctly.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Status answers with a status alone, and with a Retry-After header of whole seconds unless
// retryAfter is 0.
func Status(code int, retryAfter time.Duration) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		}
		http.Error(w, http.StatusText(code), code)
	}
}

// Header sets a header of the correct answer, or removes it with an empty value. The body follows
// as far as the protocol permits: a Content-Length below its size cuts it there, and one above
// closes the connection early.
func Header(key, value string) Fault {
	return rewrite(func(h http.Header) {
		if value == "" {
			h.Del(key)
			return
		}
		h.Set(key, value)
	}, nil)
}

// ContentLength adds n to the length that the answer states. The body stays the same, or ends where
// the stated length does.
func ContentLength(n int64) Fault {
	return rewrite(func(h http.Header) {
		length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err == nil {
			h.Set("Content-Length", strconv.FormatInt(length+n, 10))
		}
	}, nil)
}

// Cut closes the connection in an orderly way after n bytes of the body, all of which arrive.
func Cut(n int64) Fault {
	return rewrite(nil, func(w http.ResponseWriter, body []byte) {
		send(w, body[:min(n, int64(len(body)))])
		panic(http.ErrAbortHandler)
	})
}

// ResetConnection resets the connection (RST) after n bytes of the body, of which some may not
// arrive. HTTP/1.1 only.
func ResetConnection(n int64) Fault {
	return rewrite(nil, func(w http.ResponseWriter, body []byte) {
		send(w, body[:min(n, int64(len(body)))])
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if c, ok := conn.(*countingConn); ok {
			conn = c.Conn
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // fails only on a closed connection
		}
		_ = conn.Close()
	})
}

// Stall sends n bytes of the body and then nothing until the client leaves. With a negative n it
// does not even send the header.
func Stall(n int64) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n >= 0 {
			rewrite(nil, func(w http.ResponseWriter, body []byte) {
				send(w, body[:min(n, int64(len(body)))])
			})(w, r, next)
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// Slow sends the body at about bytesPerSecond, in at most 100 steps a second.
func Slow(bytesPerSecond int) Fault {
	return rewrite(nil, func(w http.ResponseWriter, body []byte) {
		step := max(bytesPerSecond/100, 1)
		for pause := time.Duration(step) * time.Second / time.Duration(bytesPerSecond); len(body) > 0; {
			n := min(step, len(body))
			if !send(w, body[:n]) {
				return
			}
			body = body[n:]
			time.Sleep(pause)
		}
	})
}

// Flip inverts the byte at offset in the file, in every answer that has it.
func Flip(offset int64) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		serveChanged(w, r, next, func(file []byte) []byte {
			if offset < int64(len(file)) {
				file[offset] ^= 0xff
			}
			return file
		})
	}
}

// Shorten serves the file as if it had n bytes, whole and in ranges, with status 416 for ranges
// beyond.
func Shorten(n int64) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		serveChanged(w, r, next, func(file []byte) []byte {
			return file[:min(n, int64(len(file)))]
		})
	}
}

// Replace serves other bytes in the file's place.
func Replace(other []byte) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(other))
	}
}

// NoRanges ignores ranges: it answers 200 with the whole file.
func NoRanges() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, withoutRange(r))
	}
}

// Endless sends the status and the body of the correct answer, without Content-Length, and then
// filler bytes until the client leaves.
func Endless() Fault {
	filler := bytes.Repeat([]byte("endless "), 4<<10)
	return rewrite(
		func(h http.Header) { h.Del("Content-Length") },
		func(w http.ResponseWriter, body []byte) {
			for ok := send(w, body); ok; {
				ok = send(w, filler)
			}
		},
	)
}

// rewrite answers as next does, with headers that headers changes and a body that body sends.
// Either may be nil. It holds the answer in memory.
func rewrite(headers func(http.Header), body func(http.ResponseWriter, []byte)) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		h := w.Header()
		for k, v := range rec.Result().Header {
			h[k] = v
		}
		if h.Get("Content-Length") == "" {
			h.Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		}
		if headers != nil {
			headers(h)
		}
		content := rec.Body.Bytes()
		stated, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err == nil && stated < int64(len(content)) {
			content = content[:max(stated, 0)] // net/http refuses the whole of a longer write
		}
		w.WriteHeader(rec.Code)
		if body == nil {
			send(w, content)
			return
		}
		body(w, content)
	}
}

// serveChanged serves, with ranges, what change makes of the whole file.
func serveChanged(w http.ResponseWriter, r *http.Request, next http.Handler,
	change func([]byte) []byte) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, withoutRange(r))
	if rec.Code != http.StatusOK {
		http.Error(w, fmt.Sprintf("no file to change: %d", rec.Code), rec.Code)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(change(rec.Body.Bytes())))
}

func withoutRange(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// send writes and flushes p. It gives false when the client has left.
func send(w http.ResponseWriter, p []byte) bool {
	if _, err := w.Write(p); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}
