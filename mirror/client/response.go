package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// checkResponse judges status and headers, for which RFC 9110 is the source.
func checkResponse(resp *http.Response, q request) (*answer, error) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
			return nil, corruptf("%w: Content-Encoding %.20q", ErrEncoding, enc)
		}
		if resp.StatusCode == http.StatusOK {
			return checkWhole(resp, q)
		}
		return checkPartial(resp, q)
	case http.StatusNotFound, http.StatusGone:
		return nil, &failure{kind: missingFailure, err: statusError(resp)}
	case http.StatusForbidden, http.StatusBadRequest:
		// An object store says so of what is not there to whom it does not list what is.
		return nil, &failure{kind: deniedFailure, err: &denied{statusError(resp)}}
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return nil, &failure{kind: refusedFailure, err: &denied{statusError(resp)}}
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, corruptf("is shorter than expected: %w", statusError(resp))
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return nil, &failure{kind: passingFailure, err: statusError(resp), after: retryAfter(resp)}
	}
	if resp.StatusCode >= 500 {
		return nil, &failure{kind: passingFailure, err: statusError(resp), after: retryAfter(resp)}
	}
	return nil, &failure{kind: refusedFailure, err: statusError(resp)}
}

func checkWhole(resp *http.Response, q request) (*answer, error) {
	if q.length < 0 {
		return &answer{
			length: resp.ContentLength,
			total:  resp.ContentLength,
			ranges: saysRanges(resp),
		}, nil
	}
	if end := q.offset + q.length; resp.ContentLength >= 0 && resp.ContentLength < end {
		return nil, corruptf("has %d bytes, at least %d are expected", resp.ContentLength, end)
	}
	return &answer{
		length: q.length,
		skip:   q.offset,
		whole:  true,
		total:  resp.ContentLength,
		ranges: saysRanges(resp),
	}, nil
}

// saysRanges tells whether a server announces that it sends ranges.
func saysRanges(resp *http.Response) bool { return resp.Header.Get("Accept-Ranges") == "bytes" }

func checkPartial(resp *http.Response, q request) (*answer, error) {
	header := resp.Header.Get("Content-Range")
	first, last, total, ok := parseContentRange(header)
	end := q.offset + q.length
	switch {
	case q.length < 0 || !ok || first != q.offset || last >= end:
		return nil, corruptf("comes with Content-Range %.60q for bytes %d-%d", header, q.offset,
			end-1)
	case total >= 0 && total < end:
		return nil, corruptf("has %d bytes, at least %d are expected", total, end)
	case resp.ContentLength >= 0 && resp.ContentLength != last-first+1:
		return nil, corruptf("comes with Content-Length %d and Content-Range %.60q",
			resp.ContentLength, header)
	}
	return &answer{length: last - first + 1, total: total, ranges: true}, nil
}

// parseContentRange reads "bytes FIRST-LAST/TOTAL"; a total of * gives -1.
func parseContentRange(s string) (first, last, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, 0, false
	}
	span, size, _ := strings.Cut(s, "/")
	from, to, _ := strings.Cut(span, "-")
	total = -1
	var errs [3]error
	first, errs[0] = parseDecimal(from)
	last, errs[1] = parseDecimal(to)
	if size != "*" {
		total, errs[2] = parseDecimal(size)
	}
	ok = errors.Join(errs[:]...) == nil && first <= last && (total < 0 || last < total)
	return first, last, total, ok
}

func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

func statusError(resp *http.Response) error {
	if text := http.StatusText(resp.StatusCode); text != "" {
		return fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	return fmt.Errorf("status %d", resp.StatusCode)
}

// retryAfter reads the header of that name: seconds or a date; 0 when there is none.
func retryAfter(resp *http.Response) time.Duration {
	s := resp.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
