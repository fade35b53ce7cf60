package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"deltaup": main})
}

// cleaning removes after the tests what they share.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	defer func() { os.RemoveAll(thePublisher.dir) }()
	cache, err := os.MkdirTemp("", "deltaup-cache")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(cache)
	builds, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err)
	}
	os.Setenv("GOCACHE", strings.TrimSpace(string(builds))) // else it is in the other one, and empty
	os.Setenv("XDG_CACHE_HOME", cache)                      // not what the user keeps there
	return c.M.Run()
}

// TestScripts runs testdata/script/*.txtar, one or more for each command.
func TestScripts(t *testing.T) {
	scripts, err := os.ReadDir("testdata/script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in testdata/script: %v", err)
	}
	t.Setenv("GOTMPDIR", t.TempDir()) // testscript leaves a folder when not all scripts run
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Condition: scriptCondition,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			return nil
		},
	})
}

// scriptCondition adds [mounts]: whether this process may mount in a namespace of its own.
func scriptCondition(name string) (bool, error) {
	if name == "mounts" {
		return exec.Command("unshare", "-m", "true").Run() == nil && os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %s", name)
}
