// Package effort says how much of an endless matter a test does: kills at random instants, crashes
// after each step, all cases of a table that costs seconds each. With DELTAUP_TEST_LONG set (make
// test-long) it does all, in a short run (make race) a fifteenth, else a third.
package effort

import (
	"os"
	"testing"
)

// Stride is the distance between those steps of a long walk that a test takes: 1 in a long run.
func Stride() int {
	switch {
	case testing.Short():
		return 15
	case os.Getenv("DELTAUP_TEST_LONG") != "":
		return 1
	}
	return 3
}

// Times gives how many of n repetitions are made, at least one.
func Times(n int) int { return max(1, n/Stride()) }

// Takes tells whether case i of a walk through many belongs to this run. Case 0 always does.
func Takes(i int) bool { return i%Stride() == 0 }
