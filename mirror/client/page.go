package client

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// errPage marks a web page that came in a file's place.
var errPage = errors.New("a web page")

// pageHead is how much of an answer is read to tell a web page.
const pageHead = 512

// isPage tells whether the beginning of a file is that of a web page. No file of a mirror begins so
// but a raw artifact, which lies in packs.
func isPage(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return strings.HasPrefix(http.DetectContentType(b[:min(len(b), pageHead)]), "text/html")
}

// checkPage refuses an answer that its server calls a web page and that is one.
func checkPage(resp *http.Response, asked string) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" && kind != "application/xhtml+xml" {
		return nil
	}
	head := make([]byte, pageHead)
	n, err := io.ReadFull(resp.Body, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if head = head[:n]; isPage(head) {
		return pageFailure(resp.Request.URL.Host, asked)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return nil
}

// pageFailure is that of a page; from is the host that sent it, which redirects may have led to.
func pageFailure(from, asked string) error {
	if from != asked {
		return corruptf("%w, from %.100q", errPage, from)
	}
	return corruptf("%w", errPage)
}

// pageOr is what is wrong with the bytes of a file: that they are a page, or err.
func pageOr(b []byte, err error) error {
	if isPage(b) {
		return errPage
	}
	return err
}
