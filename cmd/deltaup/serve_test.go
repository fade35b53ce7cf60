package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestServe starts the command on a free port, as a script would, asks and interrupts it.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	// the former makes it a mirror
	for name, content := range map[string]string{"metadata/timestamp.json": "{}", "file": "content"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	out, stdout := io.Pipe()
	var log bytes.Buffer
	env := &Env{Stdin: new(bytes.Buffer), Stdout: stdout, Stderr: &log, Getenv: os.Getenv}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, env, []string{"serve", "--listen", "127.0.0.1:0", "--log", dir})
		stdout.Close() // whoever waits for a line need not wait any longer
	}()

	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no line: %v; exit code %d, %s", err, <-code, log.String())
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:[1-9][0-9]*`).FindString(line)
	if url == "" {
		t.Fatalf("no address in %q", line)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	answer, err := client.Get(url + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || string(b) != "content" {
		t.Errorf("the file is %q, %v", b, err)
	}
	interrupt()
	select {
	case c := <-code:
		if c != exitOK {
			t.Errorf("exit code %d", c)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("serve does not end")
	}
	if !regexp.MustCompile(`GET "/file" - 200 7 `).MatchString(log.String()) {
		t.Errorf("the log is %q", log.String())
	}
}
