package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"deltaup/trust"
)

// TestClasses: a class is a range of its own, and each code lies in one.
func TestClasses(t *testing.T) {
	after := -1
	names := map[string]bool{}
	for _, c := range classes {
		if c.first <= after || c.last < c.first || c.last > 255 || names[c.name] {
			t.Errorf("%s, %d to %d, after %d", c.name, c.first, c.last, after)
		}
		after, names[c.name] = c.last, true
	}
	for code := range declaredCodes(t) {
		if classOf(code) == "" {
			t.Errorf("code %d is of no class", code)
		}
	}
}

var word = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// TestCauses: each word stands for one cause, each code has one at least, and what errors are told
// by is among them.
func TestCauses(t *testing.T) {
	words, codes := map[string]bool{}, map[int]bool{}
	for i, c := range causes {
		if words[c.word] || !word.MatchString(c.word) || i > 0 && c.code < causes[i-1].code {
			t.Errorf("%d %q is there twice, no word, or not in order", c.code, c.word)
		}
		words[c.word], codes[c.code] = true, true
	}
	if declared := declaredCodes(t); !maps.Equal(declared, codes) {
		t.Errorf("codes without a cause, or without a name: %v, %v", declared, codes)
	}
	// success, the errors that explain looks for itself, and what no error makes
	made := map[string]bool{"done": true, "failure": true, "usage": true, "wrong-configuration": true, "crash": true}
	for _, o := range outcomes {
		made[o.cause] = true
	}
	if !maps.Equal(made, words) {
		t.Errorf("errors of a cause that there is not, or causes without an error: %v, %v", made, words)
	}
}

// TestExitCodesPage holds doc/exit-codes.md to the classes and causes that this program has.
func TestExitCodesPage(t *testing.T) {
	page, err := os.ReadFile("../../doc/exit-codes.md")
	must(t, err)
	rows := func(pattern string) (rows [][]string) {
		for _, m := range regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(string(page), -1) {
			rows = append(rows, m[1:])
		}
		return rows
	}
	var want [][]string
	for _, c := range classes {
		codes := strconv.Itoa(c.first)
		if c.last > c.first {
			codes += "–" + strconv.Itoa(c.last)
		}
		want = append(want, []string{c.name, codes})
	}
	equalRows(t, rows("^\\| `([a-z]+)` \\| ([0-9–]+) \\| \\S"), want)
	want = nil
	for _, c := range causes {
		want = append(want, []string{strconv.Itoa(c.code), c.word})
	}
	equalRows(t, rows("^\\| ([0-9]+) \\| `([a-z-]+)` \\| \\S"), want)
}

func equalRows(t *testing.T, got, want [][]string) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the page lists\n%q\nand there are\n%q", got, want)
	}
}

// declaredCodes are the values of the constants exit….
func declaredCodes(t *testing.T) map[int]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "exitcodes.go", nil, 0)
	must(t, err)
	codes := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") {
			return true
		}
		code, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		must(t, err)
		if codes[code] {
			t.Errorf("%s: another constant has the code %d, too", spec.Names[0].Name, code)
		}
		codes[code] = true
		return false
	})
	return codes
}

// TestOutcomesReached makes sure that no row of the table stands behind one that takes all of its
// errors.
func TestOutcomesReached(t *testing.T) {
	for i, o := range outcomes {
		err := fmt.Errorf("of something: %w", o.is)
		if o.role != "" {
			continue // the rows of a role are TestHostileMirror's
		}
		if cause := explain(err).Cause; cause != o.cause {
			t.Errorf("row %d, %v: %s, not %s", i, o.is, cause, o.cause)
		}
	}
	for _, role := range trust.Roles {
		if !slices.ContainsFunc(outcomes, func(o outcome) bool { return o.is == trust.ErrRollback && o.role == role }) {
			t.Errorf("a rolled back %s has no exit code", role)
		}
	}
}

// TestFailureAsJSON: with --json each command ends with an object that says why, and standard error
// has its line as always. What a report tells is told once.
func TestFailureAsJSON(t *testing.T) {
	none := t.TempDir() + "/none"
	for _, tt := range []struct {
		args []string
		want failure
	}{
		{[]string{"check", "--json", none}, failure{Code: exitMissing, Class: "input", Cause: "no-mirror", Hint: "is the address right?"}},
		{[]string{"inspect", "--json", none}, failure{Code: exitMissing, Class: "input", Cause: "no-file"}},
		{[]string{"status", "--json", "--sysroot", none}, failure{Code: exitUsage, Class: "usage", Cause: "no-configuration"}},
		{[]string{"doctor", "--json", "--slot", "a", "--sysroot", none}, failure{Code: exitUsage, Class: "usage", Cause: "no-configuration"}},
		{[]string{"plan", "--json", "--insecure", none}, failure{Code: exitMissing, Class: "input", Cause: "no-mirror", Hint: "is the address right?"}},
		{[]string{"pull", "--json", none}, failure{Code: exitUsage, Class: "usage", Cause: "usage"}},
		{[]string{"publish", "--nothing", "--json"}, failure{Code: exitUsage, Class: "usage", Cause: "usage"}},
		{[]string{"publish", "--nothing", "--json=1"}, failure{Code: exitUsage, Class: "usage", Cause: "usage"}},
	} {
		code, stdout, stderr := deltaup(t, tt.args...)
		var got struct {
			Event string
			failure
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Errorf("%q: %v: %s", tt.args, err, stdout)
			continue
		}
		tt.want.Message = got.Message
		if got.Event != "error" || got.failure != tt.want || code != tt.want.Code {
			t.Errorf("%q: %d, %+v, want %+v", tt.args, code, got, tt.want)
		}
		if stderr != "deltaup: "+got.line()+"\n" {
			t.Errorf("%q: %q, and for programs %q", tt.args, stderr, got.line())
		}
	}
	for _, args := range [][]string{
		{"status", "--sysroot", none},
		{"status", "--sysroot", none, "--json", "--json=false"},
		{"inspect", none, "--", "--json"},
	} {
		if code, stdout, _ := deltaup(t, args...); code != exitUsage || stdout != "" {
			t.Errorf("%q, without --json: %d, %s", args, code, stdout)
		}
	}
}
