package human

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"deltaup/internal/chars"
)

// powers are the prefixes of a unit, each a thousand times the one before it.
const powers = "kMGTPE"

// Size writes a number of bytes with two or three digits, in powers of a thousand: 999 B, 4.2 kB,
// 133 MB.
func Size(n int64) string {
	sign, rest := "", uint64(n)
	if n < 0 {
		sign, rest = "-", -rest
	}
	if rest < 1000 {
		return fmt.Sprintf("%s%d B", sign, rest)
	}
	unit, power := uint64(1000), 0
	for rest/unit >= 1000 {
		unit, power = unit*1000, power+1
	}
	value := math.Round(float64(rest)/float64(unit)*10) / 10
	digits := 0
	if value < 10 {
		digits = 1
	}
	return fmt.Sprintf("%s%.*f %cB", sign, digits, value, powers[power])
}

// maxSize bounds what ParseSize takes, so that callers can add to it.
const maxSize = 1 << 62

// ParseSize reads a number of bytes: 1500, 1,500, 200k and 4.2 kB in powers of a thousand, 50Mi and
// 50 MiB in powers of 1024. Letters may be of either case.
func ParseSize(s string) (int64, error) {
	number, unit := chars.Cut(s, chars.Digits+".,")
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	if err != nil {
		return 0, fmt.Errorf("%q begins with no number", s)
	}
	unit = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(unit)), "b")
	base := 1000.0
	power, binary := strings.CutSuffix(unit, "i")
	if binary {
		base = 1024
	}
	switch i := strings.Index(strings.ToLower(powers), power); {
	case i < 0 || len(power) > 1 || binary && power == "":
		return 0, fmt.Errorf("%q has no unit of bytes", s)
	case power != "":
		n *= math.Pow(base, float64(i+1))
	}
	if n > maxSize {
		return 0, fmt.Errorf("%q is too much", s)
	}
	return int64(n), nil
}

// Comma writes a number with a comma between groups of three digits: 1,234,567.
func Comma(n int) string {
	s := strconv.Itoa(n)
	front := 0
	if n < 0 {
		front = 1
	}
	for i := len(s) - 3; i > front; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
