// Command report reads what bench/boot.sh's machines wrote, DIR/WAY.DISK.ROUND.report, and prints a
// table of medians; for each way it draws DIR/WAY.DISK.svg: where on the disk each request lay, over time.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: report DIR")
		os.Exit(2)
	}
	if err := report(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// boot is what one machine did until its boot was complete.
type boot struct {
	seconds  float64 // since the kernel started
	requests int     // that the disk was given
	bytes    int64
	seeks    int // requests that do not follow the one before
	issued   []request
}

// request is one that the block layer gave to the disk.
type request struct {
	at     float64 // seconds since the kernel started
	offset int64   // bytes
	length int64
}

// subject is one way of booting from one disk.
type subject struct{ way, disk string }

func report(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.report"))
	if err != nil {
		return err
	}
	boots := make(map[subject][]boot)
	var order []subject
	for _, file := range files {
		part := strings.Split(filepath.Base(file), ".")
		if len(part) != 4 {
			continue
		}
		b, err := readBoot(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		s := subject{part[0], part[1]}
		if boots[s] == nil {
			order = append(order, s)
		}
		boots[s] = append(boots[s], b)
	}
	slices.SortFunc(order, func(a, b subject) int { return cmp.Or(cmp.Compare(a.disk, b.disk), cmp.Compare(a.way, b.way)) })
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "disk\tway\tboots\tseconds\tadded\trequests\tMB\tKB each\tseeks\t")
	for _, s := range order {
		b := boots[s]
		seconds := median(b, func(b boot) float64 { return b.seconds })
		added := "-"
		if free := boots[subject{s.way, "free"}]; s.disk != "free" && free != nil {
			added = fmt.Sprintf("%.1f", seconds-median(free, func(b boot) float64 { return b.seconds }))
		}
		requests := median(b, func(b boot) float64 { return float64(b.requests) })
		bytes := median(b, func(b boot) float64 { return float64(b.bytes) })
		fmt.Fprintf(out, "%s\t%s\t%d\t%.1f\t%s\t%.0f\t%.1f\t%.0f\t%.0f\t\n", s.disk, s.way, len(b), seconds, added,
			requests, bytes/1e6, bytes/1e3/max(requests, 1), median(b, func(b boot) float64 { return float64(b.seeks) }))
		if err := draw(filepath.Join(dir, s.way+"."+s.disk+".svg"), s, b[0]); err != nil {
			return err
		}
	}
	return out.Flush()
}

func median(boots []boot, value func(boot) float64) float64 {
	var values []float64
	for _, b := range boots {
		values = append(values, value(b))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// issue is the kernel's event block_rq_issue of an NVMe disk, whose first major number is 259; the
// groups: seconds, first sector, number of sectors.
var issue = regexp.MustCompile(` (\d+\.\d+): block_rq_issue: 259,0 R\S* \d+ \(\) (\d+) \+ (\d+) `)

func readBoot(file string) (boot, error) {
	f, err := os.Open(file)
	if err != nil {
		return boot{}, err
	}
	defer f.Close() // only read
	var b boot
	var end int64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "seconds "); ok {
			b.seconds, _ = strconv.ParseFloat(strings.TrimSpace(text), 64) // 0 is refused below
		}
		m := issue.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		at, err1 := strconv.ParseFloat(m[1], 64)
		sector, err2 := strconv.ParseInt(m[2], 10, 53)
		count, err3 := strconv.ParseInt(m[3], 10, 32)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return boot{}, err
		}
		r := request{at, sector * 512, count * 512}
		if r.offset != end {
			b.seeks++
		}
		end = r.offset + r.length
		b.requests++
		b.bytes += r.length
		b.issued = append(b.issued, r)
	}
	if b.seconds == 0 {
		return boot{}, fmt.Errorf("the boot did not come to its end: %w", cmp.Or(lines.Err(), os.ErrInvalid))
	}
	return b, lines.Err()
}

// draw writes a picture of b's requests: time to the right, offset upward.
func draw(file string, s subject, b boot) error {
	const width, height, margin = 900.0, 420.0, 60.0
	var most int64 = 1
	for _, r := range b.issued {
		most = max(most, r.offset+r.length)
	}
	x := func(at float64) float64 { return margin + at/b.seconds*(width-2*margin) }
	y := func(offset int64) float64 {
		return height - margin - float64(offset)/float64(most)*(height-2*margin)
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="13">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%g" y="28" font-size="16">%s, disk %s: %d requests, %.1f MB, %d seeks, %.1f s</text>
<path d="M%g %gV%gH%g" fill="none" stroke="#888"/>
<text x="%g" y="%g" text-anchor="end">%.1f s</text><text x="%g" y="%g" text-anchor="end">%.0f MB</text><text x="%g" y="%g" text-anchor="end">0</text>
<g stroke="#0072b2" stroke-width="2" stroke-linecap="round">
`, width, height, margin, s.way, s.disk, b.requests, float64(b.bytes)/1e6, b.seeks, b.seconds,
		margin, margin, height-margin, width-margin,
		width-margin, height-margin+20, b.seconds, margin-6, margin+4, float64(most)/1e6, margin-6, height-margin)
	for _, r := range b.issued {
		fmt.Fprintf(&svg, "<path d=\"M%.1f %.1fV%.1f\"/>\n", x(r.at), y(r.offset), min(y(r.offset+r.length), y(r.offset)-0.1))
	}
	svg.WriteString("</g>\n</svg>\n")
	return os.WriteFile(file, []byte(svg.String()), 0o644)
}
