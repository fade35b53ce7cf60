package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"deltaup": main})
}

// TestScripts runs testdata/script/*.txtar, one or more for each command.
func TestScripts(t *testing.T) {
	scripts, err := os.ReadDir("testdata/script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in testdata/script: %v", err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
