// Package effort says how many of very many cases a test tries: kills at random instants, crashes
// after each step, all rows of a table that take seconds each. With DELTAUP_TEST_LONG set (make
// test-long) a test tries all, in a short run (make race) a fifteenth, else a third.
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

// Times gives how many of n repetitions to make, at least one.
func Times(n int) int { return max(1, n/Stride()) }

// Takes tells whether to try case i, counted from 0. It is true of case 0.
func Takes(i int) bool { return i%Stride() == 0 }
