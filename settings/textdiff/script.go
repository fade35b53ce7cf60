package textdiff

import "slices"

// script says how a becomes b with the fewest lines removed and added, by Myers' greedy algorithm
// (An O(ND) Difference Algorithm and Its Variations, 1986). Where that takes more than maxSteps,
// what lies between the common ends is removed and added as a whole.
func script(a, b []string) []Sign {
	front := 0
	for front < len(a) && front < len(b) && a[front] == b[front] {
		front++
	}
	back := 0
	for back < len(a)-front && back < len(b)-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	ops := slices.Repeat([]Sign{Keep}, front)
	ops = append(ops, between(a[front:len(a)-back], b[front:len(b)-back])...)
	return append(ops, slices.Repeat([]Sign{Keep}, back)...)
}

// between is script without common ends.
func between(a, b []string) []Sign {
	most := min(len(a)+len(b), maxSteps)
	v := make([]int32, 2*most+3) // how far in a each diagonal has come
	mid := most + 1
	var trace [][]int32 // v before each step, of the diagonals that it looks at
	for d := 0; d <= most; d++ {
		trace = append(trace, slices.Clone(v[mid-d-1:mid+d+2]))
		for k := -d; k <= d; k += 2 {
			x := v[mid+k-1] + 1
			if k == -d || k != d && v[mid+k-1] < v[mid+k+1] {
				x = v[mid+k+1]
			}
			for int(x) < len(a) && int(x)-k < len(b) && a[x] == b[int(x)-k] {
				x++
			}
			v[mid+k] = x
			if int(x) >= len(a) && int(x)-k >= len(b) {
				return backtrack(trace, len(a), len(b))
			}
		}
	}
	return append(slices.Repeat([]Sign{Remove}, len(a)), slices.Repeat([]Sign{Add}, len(b))...)
}

// backtrack reads the way that the search has found from its end.
func backtrack(trace [][]int32, x, y int) []Sign {
	var ops []Sign
	for d := len(trace) - 1; d > 0; d-- {
		at := func(k int) int { return int(trace[d][k+d+1]) }
		k := x - y
		op, before := Remove, k-1
		if k == -d || k != d && at(k-1) < at(k+1) {
			op, before = Add, k+1
		}
		beforeX := at(before)
		beforeY := beforeX - before
		for x > beforeX && y > beforeY {
			ops = append(ops, Keep)
			x, y = x-1, y-1
		}
		ops = append(ops, op)
		x, y = beforeX, beforeY
	}
	ops = append(ops, slices.Repeat([]Sign{Keep}, x)...) // the first step has only common lines
	slices.Reverse(ops)
	return ops
}
