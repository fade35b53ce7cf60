// Package oracle finds the real tools with which tests compare.
package oracle

import (
	"os"
	"os/exec"
	"testing"
)

// Need gives the path of a tool. Where it is not installed it skips the test, or fails it when
// DELTAUP_TEST_ALL is set: then all tools must be there.
func Need(tb testing.TB, tool string) string {
	tb.Helper()
	path, err := exec.LookPath(tool)
	switch {
	case err == nil:
	case os.Getenv("DELTAUP_TEST_ALL") != "":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
	return path
}
