package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"deltaup/mirror/serve"
)

// TestOnePlace demands that whatever this package prints for people goes by printf, and JSON by
// newJSON.
func TestOnePlace(t *testing.T) {
	printers := map[string][]string{
		"fmt":  {"Print", "Printf", "Println", "Fprint", "Fprintf", "Fprintln"},
		"io":   {"WriteString"},
		"json": {"NewEncoder"},
		"log":  {"Print", "Printf", "Println", "New"},
	}
	files, err := filepath.Glob("*.go")
	must(t, err)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "print.go" {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		must(t, err)
		seen++
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := f.X.(*ast.Ident); ok && slices.Contains(printers[pkg.Name], f.Sel.Name) {
					t.Errorf("%s: %s.%s: printf, printJSON and newJSON make printable what they are given", set.Position(call.Pos()), pkg.Name, f.Sel.Name)
				}
			}
			return true
		})
	}
	if seen < 20 {
		t.Errorf("%d files were looked at", seen)
	}
}

// hostileText is what a mirror, an image, a file's name or a configuration could send to a
// terminal: a title, a cleared screen, a second line that looks like ours, an 8-bit command, a
// turned direction of writing, half a character.
const hostileText = "a\x1b]0;owned\x07\x1b[2J\ndeltaup: release 9: done\r\u009b31m\u202e\u2066\u2028\x7f\xff\xc3"

// checkPrintable demands text that a terminal shows as it is.
func checkPrintable(t *testing.T, what, got string) {
	t.Helper()
	if !utf8.ValidString(got) {
		t.Errorf("%s is not UTF-8: %q", what, got)
	}
	for _, r := range got {
		if r != '\n' && !strconv.IsPrint(r) {
			t.Errorf("%s has %q: %q", what, r, got)
			return
		}
	}
}

func TestPrintf(t *testing.T) {
	var out bytes.Buffer
	must(t, printf(&out, "%-4s|%*d|%q|%v|%x|%5.1f\n", hostileText, 4, 7, "\n", []string{hostileText}, []byte(hostileText), 1.25))
	checkPrintable(t, "a line", out.String())
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `|   7|"\n"|[a`) || !strings.Contains(out.String(), "|  1.2\n") {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	must(t, printJSON(&out, map[string]string{"text": hostileText + "😀\U000e0041"}))
	checkPrintable(t, "JSON", out.String())
	var back map[string]string
	must(t, json.Unmarshal(out.Bytes(), &back))
	if want := strings.ToValidUTF8(strings.TrimSuffix(hostileText, "\xff\xc3"), "") + "\ufffd\ufffd😀\U000e0041"; back["text"] != want {
		t.Errorf("JSON gives back %q, not %q", back["text"], want)
	}
}

// TestPrintable runs commands on names and files that are made to deceive.
func TestPrintable(t *testing.T) {
	memory(t)
	dir := t.TempDir()
	t.Chdir(dir)
	name := strings.ReplaceAll(hostileText, "/", "")
	evil := `{"signatures":[],"signed":{"_type":"\u001b]0;owned\u0007\u001b[2J\ndeltaup: release 9: done\u202e"}}`
	for file, text := range map[string]string{
		"tree/" + name + "/" + name: "one", "tree/plain": "two", "tree/a -> b": "three", `tree/"quoted"`: "four",
		"evil/metadata/timestamp.json": evil, "evil/metadata/2.root.json": evil, "root.json": evil,
		"unsigned/channels/stable.json": evil, "text": hostileText, "trace": hostileText + "\n",
		"deltaup.toml":                      "mirrors = [\"x\"]\n[[slot]]\nname = \"\\u001b[2J\\n\"\n" + `"\u001b[2J\n" = 1` + "\n",
		"mirror/releases/" + name + ".json": "{",
	} {
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(text), 0o644))
	}
	must(t, os.Symlink(name, "tree/link"))
	mustDeltaup(t, "mkimage", "-o", "image", "--level", "fastest", "tree")
	must(t, os.WriteFile("tree/"+name+"/"+name, []byte(strings.Repeat("changed", 100)), 0o644))
	mustDeltaup(t, "mkimage", "-o", "image2", "--level", "fastest", "tree")
	for _, c := range []struct {
		works bool
		args  []string
	}{
		{true, []string{"ls", "image"}},
		{true, []string{"ls", "image", name}},
		{true, []string{"inspect", "image"}},
		{true, []string{"inspect", "--json", "image.recipe"}},
		{true, []string{"diff", "--all", "image", "image2"}},
		{true, []string{"diff", "--all", "--json", "image", "image2"}},
		{true, []string{"mkimage", "-o", "image3", "--order", "trace", "tree"}},
		{true, []string{"mkimage", "-o", name, "tree"}},
		{false, []string{"ls", "image", "x" + name}},
		{false, []string{"ls", name + "x"}},
		{false, []string{"cat", "image", "link"}},
		{false, []string{"cat", "image", "x" + name}},
		{false, []string{"inspect", "text"}},
		{true, []string{"trace", "show", "text"}},
		{false, []string{name}},
		{false, []string{"keys", name}},
		{false, []string{"pull", "--" + name}},
		{false, []string{"pull", "mirror", "--slot", "s", "--max-bytes", name}},
		{false, []string{"pull", "evil", "--slot", "s", "--state", "st", "--root", "root.json"}},
		{false, []string{"pull", "evil", "--slot", "s", "--state", "st", "--insecure"}},
		{false, []string{"pull", "unsigned", "--slot", "s", "--state", "st", "--insecure"}},
		{false, []string{"pull", "unsigned", "--slot", "s", "--state", "st", "--insecure", "--json"}},
		{false, []string{"pull", name, "--slot", name, "--state", name, "--insecure"}},
		{false, []string{"publish", "--mirror", name, "--version", name, "image"}},
		{false, []string{"publish", "--mirror", "new", "--version", "1", "--artifact", name, "image"}},
		{false, []string{"check", "unsigned"}},
		{false, []string{"serve", name}},
		{false, []string{"serve", "--listen", name, "."}},
		{false, []string{"status", "--config", "deltaup.toml"}},
		{false, []string{"doctor", "--config", "deltaup.toml"}},
		{false, []string{"mark-bad", "--config", name}},
		{false, []string{"plan", "http://" + name}},
	} {
		code, stdout, stderr := deltaup(t, c.args...)
		what := strings.Join(c.args, " ")
		checkPrintable(t, strconv.Quote(what)+": stdout", stdout)
		checkPrintable(t, strconv.Quote(what)+": stderr", stderr)
		if c.works != (code == exitOK) {
			t.Errorf("%q: exit code %d: %s", what, code, stderr)
		}
		if lines := strings.Count(stderr, "\n"); !c.works && lines != 1 {
			t.Errorf("%q: %d lines: %s", what, lines, stderr)
		}
		if strings.Contains(stdout+stderr, "\ndeltaup: release 9") {
			t.Errorf("%q: a line of somebody else's: %s%s", what, stdout, stderr)
		}
	}
}

// TestListNames: no two names look alike in a list, and what is quoted can be read back.
func TestListNames(t *testing.T) {
	dir := t.TempDir()
	names := []string{"plain", "with space", "new\nline", `"new\nline"`, "a -> b", " lead", "tail ", "\xff", "\ufffd", "ä"}
	for _, name := range names {
		must(t, os.MkdirAll(filepath.Join(dir, "tree"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "tree", name), nil, 0o644))
	}
	image := filepath.Join(dir, "image")
	mustDeltaup(t, "mkimage", "-o", image, "--level", "fastest", filepath.Join(dir, "tree"))
	var got []string
	for line := range strings.Lines(mustDeltaup(t, "ls", image)) {
		_, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if name = name[3:]; name == "." {
			continue
		}
		if name[0] == '"' {
			var err error
			name, err = strconv.Unquote(name)
			must(t, err)
		}
		got = append(got, name)
	}
	slices.Sort(names)
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("listed %q, there are %q", got, names)
	}
}

// TestServeLog: what clients ask for stands in one line of the log.
func TestServeLog(t *testing.T) {
	var log bytes.Buffer
	h := serve.LogRequests(serve.Handler(t.TempDir()), lineWriter{w: &log})
	r, err := http.NewRequest(http.MethodGet, "http://x/", nil)
	must(t, err)
	r.URL.Path, r.RemoteAddr, r.Method = "/"+hostileText, hostileText, "GET"
	r.Header["Range"] = []string{hostileText}
	h.ServeHTTP(discardResponse{}, r)
	checkPrintable(t, "the log", log.String())
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), time.Now().UTC().Format("2006")) {
		t.Errorf("%q", log.String())
	}
}

type discardResponse struct{}

func (discardResponse) Header() http.Header         { return http.Header{} }
func (discardResponse) Write(p []byte) (int, error) { return len(p), nil }
func (discardResponse) WriteHeader(int)             {}
