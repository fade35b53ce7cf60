package list

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var (
	errSet    = errors.New("a set [ has no end ]")
	errRange  = errors.New("a set has a range that is empty")
	errEscape = errors.New(`nothing follows \`)
)

// element is the length of the first element of a part's pattern, which is not empty.
func element(pattern string) (int, error) {
	switch pattern[0] {
	case '\\':
		if len(pattern) == 1 {
			return 0, errEscape
		}
		_, n := utf8.DecodeRuneInString(pattern[1:])
		return 1 + n, nil
	case '[':
		n, _, err := set(pattern, 0)
		return n, err
	}
	_, n := utf8.DecodeRuneInString(pattern)
	return n, nil
}

// set reads the set at the beginning of a pattern: its length, and whether r is of it. A ] that
// comes first is a member.
func set(pattern string, r rune) (n int, member bool, err error) {
	i, negated := 1, false
	if strings.HasPrefix(pattern[i:], "!") || strings.HasPrefix(pattern[i:], "^") {
		i, negated = i+1, true
	}
	char := func() (rune, error) {
		if i < len(pattern) && pattern[i] == '\\' {
			i++
		}
		if i >= len(pattern) {
			return 0, errSet
		}
		c, n := utf8.DecodeRuneInString(pattern[i:])
		i += n
		return c, nil
	}
	for first := true; first || i >= len(pattern) || pattern[i] != ']'; first = false {
		low, err := char()
		if err != nil {
			return 0, false, err
		}
		high := low
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			i++
			if high, err = char(); err != nil {
				return 0, false, err
			}
		}
		if low > high {
			return 0, false, errRange
		}
		member = member || low <= r && r <= high
	}
	return i + 1, member != negated, nil
}

// matchPart matches one part, with no slash, against a pattern that compilePart has taken. At a
// mismatch only the last star takes one more character, so the time is at most the product of both
// lengths.
func matchPart(pattern, name string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, from = p, i
			continue
		}
		if n, m := matchOne(pattern[p:], name[i:]); n > 0 {
			p, i = p+n, i+m
			continue
		}
		if star < 0 {
			return false
		}
		_, m := utf8.DecodeRuneInString(name[from:])
		from += m
		p, i = star, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character of the name: the lengths of the pattern's element and of the
// character, 0 and 0 when they do not match.
func matchOne(pattern, name string) (n, m int) {
	if pattern == "" {
		return 0, 0
	}
	switch pattern[0] {
	case '?':
		_, m = utf8.DecodeRuneInString(name)
		return 1, m
	case '[':
		r, m := utf8.DecodeRuneInString(name)
		if n, member, err := set(pattern, r); err == nil && member {
			return n, m
		}
		return 0, 0
	case '\\':
		if pattern[1] == name[0] {
			return 2, 1
		}
		return 0, 0
	}
	if pattern[0] == name[0] {
		return 1, 1
	}
	return 0, 0
}
