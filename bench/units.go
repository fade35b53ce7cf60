package bench

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Figures as people read them: three digits and a unit.

// bytesName writes bytes in powers of a thousand.
func bytesName(n float64) string {
	switch {
	case n >= 1e9:
		return digits(n/1e9) + " GB"
	case n >= 1e6:
		return digits(n/1e6) + " MB"
	case n >= 1e3:
		return digits(n/1e3) + " kB"
	}
	return fmt.Sprintf("%.0f B", n)
}

// memoryName writes bytes in powers of 1024.
func memoryName(n float64) string {
	if n >= 2<<30 {
		return digits(n/(1<<30)) + " GiB"
	}
	return digits(n/(1<<20)) + " MiB"
}

// secondsName writes seconds like 0.42 s, 3 min 20 s, 2.5 h.
func secondsName(s float64) string {
	switch {
	case s >= 48*3600:
		return digits(s/86400) + " d"
	case s >= 3600:
		return digits(s/3600) + " h"
	case s >= 100:
		d := time.Duration(math.Round(s)) * time.Second
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return digits(s) + " s"
}

// digits writes three digits.
func digits(v float64) string {
	switch {
	case v >= 99.95 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// same is what ratioName says of figures that differ by less than a twentieth.
const same = "about the same"

// ratioName says how a figure compares with another one: "3 × less", "1.8 × more".
func ratioName(v, other float64) string {
	word, by := "less", other/v
	if v > other {
		word, by = "more", v/other
	}
	switch {
	case !(by >= 1.05): // both may be zero
		return same
	case math.IsInf(by, 1):
		return word
	case by < 9.95:
		return trimmed(fmt.Sprintf("%.1f", by)) + " × " + word
	}
	return fmt.Sprintf("%.0f × %s", by, word)
}

// trimmed removes zeros behind a point: 3.00 MB becomes 3 MB.
func trimmed(name string) string {
	number, unit, _ := strings.Cut(name, " ")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if unit == "" {
		return number
	}
	return number + " " + unit
}

// tickSeconds writes a time on an axis, in three digits since 3 × 0.05 is not exactly 0.15.
func tickSeconds(s float64) string {
	switch {
	case s >= 86400:
		return fmt.Sprintf("%.3g d", s/86400)
	case s >= 3600:
		return fmt.Sprintf("%.3g h", s/3600)
	case s >= 60:
		return fmt.Sprintf("%.3g min", s/60)
	}
	return fmt.Sprintf("%.3g s", s)
}

var (
	secondMarks = []float64{0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400}
	// fineSecondMarks are for an axis with few of secondMarks.
	fineSecondMarks = []float64{
		0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400,
	}
	rateMarks = []float64{64e3, 1e6, 10e6, 100e6, 1e9}
)
