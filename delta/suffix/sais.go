package suffix

import "iter"

// sorted gives the suffix array of text: the starts of its suffixes in their order. It takes linear
// time by the algorithm SA-IS (Nong, Zhang, Chan: "Two Efficient Algorithms for Linear Time Suffix
// Array Construction"), whose terms L, S and LMS this file uses. Beside the array it takes next to
// no memory: as in package index/suffixarray of Go, the array itself is the queue of what is to be
// placed, and the shorter text of the recursion, its suffix array and its buckets lie in it.
func sorted(text []byte) []int32 {
	sa := make([]int32, len(text))
	sais(text, sa, make([]int32, 256))
	return sa
}

// sais fills sa, which is as long as text and all zeros, with the suffix array of text. bucket is
// as long as there are symbols, which count from 0. An entry of 0 in sa is empty, until the end.
func sais[T byte | int32](text []T, sa, bucket []int32) {
	if len(text) < 2 {
		return
	}
	lms := placeEnds(text, sa, bucket)
	if lms > 1 {
		substringsL(text, sa, bucket)
		substringsS(text, sa, bucket)
		// the LMS substrings, in their order, are the last entries of sa
		order := sa[len(sa)-lms:]
		lengths(text, sa)
		if top := number(text, sa, order); top < lms {
			recurse(sa, lms, top)
			starts(text, order)
			for i, n := range sa[:lms] {
				sa[i] = order[n]
			}
		} else { // all are different, so their order is that of the suffixes
			copy(sa, order)
		}
		spread(text, sa, bucket, lms)
	}
	suffixesL(text, sa, bucket)
	suffixesS(text, sa, bucket)
}

// buckets sets bucket to where the suffixes of each symbol begin in the suffix array, or with ends
// to where they end.
func buckets[T byte | int32](text []T, bucket []int32, ends bool) {
	clear(bucket)
	for _, c := range text {
		bucket[c]++
	}
	sum := int32(0)
	for i, n := range bucket {
		if ends {
			bucket[i] = sum + n
		} else {
			bucket[i] = sum
		}
		sum += n
	}
}

// lmsStarts gives the starts of the LMS suffixes from the last to the first. A suffix is smaller
// than the next one, of type S, if its first symbol is smaller, or equal and the next one is of type
// S. An LMS suffix is one of type S behind one of type L.
func lmsStarts[T byte | int32](text []T) iter.Seq[int] {
	return func(yield func(int) bool) {
		var c, next T
		small := false
		for i := len(text) - 1; i >= 0; i-- {
			c, next = text[i], c
			if c < next {
				small = true
			} else if c > next && small {
				small = false
				if !yield(i + 1) {
					return
				}
			}
		}
	}
}

// placeEnds puts the last symbol of each LMS substring, which is the first of the next one, at the
// end of its bucket. It gives the number of LMS suffixes. If that is 1, it puts the suffix there.
func placeEnds[T byte | int32](text []T, sa, bucket []int32) (lms int) {
	buckets(text, bucket, true)
	last := int32(-1)
	for start := range lmsStarts(text) {
		last = bucket[text[start]] - 1
		bucket[text[start]], sa[last] = last, int32(start)
		lms++
	}
	if lms > 1 {
		sa[last] = 0 // the first one ends no substring
	}
	return lms
}

// substringsL places the L suffixes of each LMS substring, from its last to its first one, and
// leaves the first one alone in sa.
func substringsL[T byte | int32](text []T, sa, bucket []int32) {
	buckets(text, bucket, false)
	// What is positive is to be worked off: the one before it is of type L and has its place ahead.
	// It is negative there if the one before that is of type S.
	k := len(text) - 1
	at := text[k]
	if text[k-1] < at {
		k = -k
	}
	b := bucket[at]
	sa[b] = int32(k)
	b++
	for i, j := range sa {
		if j <= 0 {
			if j < 0 {
				sa[i] = -j
			}
			continue
		}
		sa[i] = 0
		k := j - 1
		before, c := text[k-1], text[k]
		if before < c {
			k = -k
		}
		if c != at {
			bucket[at] = b
			at, b = c, bucket[c]
		}
		sa[b] = k
		b++
	}
}

// substringsS places the S suffixes of each LMS substring, from its last to its first one, and
// moves the first ones to the end of sa.
func substringsS[T byte | int32](text []T, sa, bucket []int32) {
	buckets(text, bucket, true)
	at := T(0)
	b := bucket[at]
	top := len(sa)
	for i := len(sa) - 1; i >= 0; i-- {
		j := sa[i]
		if j == 0 {
			continue
		}
		sa[i] = 0
		if j < 0 {
			top--
			sa[top] = -j
			continue
		}
		k := j - 1
		before, c := text[k-1], text[k]
		if before > c {
			k = -k
		}
		if c != at {
			bucket[at] = b
			at, b = c, bucket[c]
		}
		b--
		sa[b] = k
	}
}

// lengths writes the length of each LMS substring, with the first symbol of the next one, to half
// of its start. No two of them start at neighbouring places. That of the last one is 0.
func lengths[T byte | int32](text []T, sa []int32) {
	end := 0
	for start := range lmsStarts(text) {
		sa[start>>1] = int32(max(end-start, 0))
		end = start + 1
	}
}

// number writes the numbers of the LMS substrings, by their order from 1 on and equal ones alike,
// to half of their starts. It gives the last number.
func number[T byte | int32](text []T, sa, order []int32) (top int) {
	size, before := int32(-1), int32(0)
	for _, j := range order {
		n := sa[j>>1]
		if n != size || !same(text[j:j+n], text[before:before+n]) {
			top++
			size, before = n, j
		}
		sa[j>>1] = int32(top)
	}
	return top
}

func same[T byte | int32](a, b []T) bool {
	for i, c := range a {
		if c != b[i] {
			return false
		}
	}
	return true
}

// recurse sorts the text of the numbers of the LMS substrings into the beginning of sa.
func recurse(sa []int32, lms, top int) {
	at := len(sa)
	for i := len(sa) / 2; i >= 0; i-- {
		if n := sa[i]; n > 0 {
			at--
			sa[at] = n - 1
		}
	}
	bucket := sa[lms : len(sa)-lms]
	if len(bucket) < top {
		bucket = make([]int32, top)
	}
	clear(sa[:lms])
	sais(sa[len(sa)-lms:], sa[:lms], bucket[:top])
}

// starts gives the starts of the LMS suffixes in the order of text.
func starts[T byte | int32](text []T, lms []int32) {
	n := len(lms)
	for start := range lmsStarts(text) {
		n--
		lms[n] = int32(start)
	}
}

// spread moves the sorted LMS suffixes from the beginning of sa to the ends of their buckets.
func spread[T byte | int32](text []T, sa, bucket []int32, lms int) {
	buckets(text, bucket, true)
	end := len(sa)
	for i := lms - 1; i >= 0; i-- {
		v := sa[i]
		c := text[v]
		b := int(bucket[c] - 1)
		bucket[c] = int32(b)
		clear(sa[b+1 : end])
		sa[b], end = v, b
	}
	clear(sa[:end])
}

// suffixesL places all L suffixes. Of those that are left negative the one before is of type S.
func suffixesL[T byte | int32](text []T, sa, bucket []int32) {
	buckets(text, bucket, false)
	k := len(text) - 1
	at := text[k]
	if text[k-1] < at {
		k = -k
	}
	b := bucket[at]
	sa[b] = int32(k)
	b++
	for _, j := range sa {
		if j <= 0 {
			continue
		}
		k := j - 1
		c := text[k]
		if k > 0 && text[k-1] < c {
			k = -k
		}
		if c != at {
			bucket[at] = b
			at, b = c, bucket[c]
		}
		sa[b] = k
		b++
	}
}

// suffixesS places all S suffixes.
func suffixesS[T byte | int32](text []T, sa, bucket []int32) {
	buckets(text, bucket, true)
	at := T(0)
	b := bucket[at]
	for i := len(sa) - 1; i >= 0; i-- {
		j := sa[i]
		if j >= 0 {
			continue
		}
		j = -j
		sa[i] = j
		k := j - 1
		c := text[k]
		if k > 0 && text[k-1] <= c {
			k = -k
		}
		if c != at {
			bucket[at] = b
			at, b = c, bucket[c]
		}
		b--
		sa[b] = k
	}
}
