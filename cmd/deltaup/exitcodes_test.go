package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"deltaup/trust"
)

// TestExitCodesPage holds doc/exit-codes.md to the codes that this program has: each once, in
// order, and no others.
func TestExitCodesPage(t *testing.T) {
	// success, the errors that explain looks for itself, and what no error makes
	known := map[int]bool{exitOK: true, exitFailure: true, exitUsage: true, exitCrash: true}
	for _, o := range outcomes {
		known[o.code] = true
	}
	if declared := declaredCodes(t); !maps.Equal(declared, known) {
		t.Errorf("codes without an error, or errors without a named code: %v, %v", declared, known)
	}
	page, err := os.ReadFile("../../doc/exit-codes.md")
	must(t, err)
	var listed []int
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| \S`).FindAllStringSubmatch(string(page), -1) {
		code, err := strconv.Atoi(row[1])
		must(t, err)
		listed = append(listed, code)
	}
	if want := slices.Sorted(maps.Keys(known)); !slices.Equal(listed, want) {
		t.Errorf("the page lists\n%v\nand there are\n%v", listed, want)
	}
}

// declaredCodes are the values of the constants exit… of errors.go.
func declaredCodes(t *testing.T) map[int]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	must(t, err)
	codes := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names[0].Name) < 5 || spec.Names[0].Name[:4] != "exit" {
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
		if code, _ := explain(err); code != o.code {
			t.Errorf("row %d, %v: exit code %d, not %d", i, o.is, code, o.code)
		}
	}
	for _, role := range trust.Roles {
		if !slices.ContainsFunc(outcomes, func(o outcome) bool { return o.is == trust.ErrRollback && o.role == role }) {
			t.Errorf("a rolled back %s has no exit code", role)
		}
	}
}
